"""Auth: what an answer means, how long it is good, and when Auth is not asked."""
