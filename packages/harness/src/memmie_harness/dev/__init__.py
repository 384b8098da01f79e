"""`memmie dev`: the whole stack in one process, checked by a heartbeat."""
