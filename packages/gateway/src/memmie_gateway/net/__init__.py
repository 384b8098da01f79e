"""The I/O shell: asyncio, sockets, the clients of Auth and Studio. It asks core and does what core says.

A connection passes through it in this order: `edge` reads the head, `connector` lets it in and finds it a Studio
(`auth_client` over `auth_pool`, `upstream`), `splice` carries its bytes; `session` looks after it and ends it, and
`registry` knows it meanwhile.
"""
