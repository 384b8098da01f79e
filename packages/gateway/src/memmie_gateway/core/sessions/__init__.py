"""Live sessions: which of them end or move, and when."""
