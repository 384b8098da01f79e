"""Pure decisions: no asyncio, no sockets, no clock. `now` (seconds) and `rng` are arguments.

Every module here answers one question of the gateway, returns its decision and leaves the acting to `net`.
"""
