"""``memmie dev``: the whole stack in one process, proven by a heartbeat."""
