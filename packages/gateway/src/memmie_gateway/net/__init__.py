"""The I/O: asyncio, sockets, the clients of Auth and of backends. Decisions come from `core`.

A connection passes through these modules in this order: `ingress.listener` reads the head, and `websocket` serves it.
`ingress.admission` admits the client, with `auth` for its token. `backends.dispatcher` finds a backend, and
`backends.dialer` connects to it. Then `sessions.session` joins both connections until they end, and
`sessions.registry` lists it meanwhile.
"""
