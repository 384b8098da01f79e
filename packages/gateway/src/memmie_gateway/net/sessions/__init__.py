"""Live connections: a `session` has two legs (`leg`, the data path), and is found through the `registry`."""
