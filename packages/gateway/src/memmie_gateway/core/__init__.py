"""Pure decisions: no asyncio, no sockets, no clock. `now` (seconds) and `rng` are arguments.

Every module makes one kind of decision and returns it; `net` carries it out.
"""
