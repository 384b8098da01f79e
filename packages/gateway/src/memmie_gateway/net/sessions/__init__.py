"""Live connections: a `session` has two legs (`leg`, the data path); the `registry` lists all sessions."""
