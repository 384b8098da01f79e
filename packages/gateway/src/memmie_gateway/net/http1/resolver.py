"""Looking names up: one look-up of a name at a time, however many wait for it.

A look-up occupies a thread and cannot be cancelled, and there are few such threads. If a name server does not answer,
each request that gives up would leave a blocked thread behind, and soon other names would wait for a thread as well.
"""

from __future__ import annotations

import asyncio
import socket

from memmie_gateway.core.steps import Maybe
from memmie_gateway.net.http1.url import ServiceUrl


class Resolver:
    """Finds the addresses of services by their names. Only look-ups under way are shared; no result is kept."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Task[list[str]]] = {}

    def __repr__(self) -> str:
        return f"<Resolver under_way={len(self._under_way)}>"

    def addresses(self, where: ServiceUrl) -> Maybe[list[str]]:
        """Return the addresses of a service's host, at least one: at once if the host is an address itself.

        Raises:
            OSError: the name cannot be looked up; raised by the awaitable.
        """
        if where.is_address:
            return [where.host]
        look_up = self._under_way.get(where.host)
        if look_up is None:
            look_up = asyncio.create_task(_look_up(where.host, where.port))
            self._under_way[where.host] = look_up
            look_up.add_done_callback(lambda done: self._done(where.host, done))
        return _shared(look_up)

    def _done(self, host: str, look_up: asyncio.Task[list[str]]) -> None:
        del self._under_way[host]
        if not look_up.cancelled():
            look_up.exception()  # marks it as retrieved, as perhaps nothing waits for it any more


async def _shared(look_up: asyncio.Task[list[str]]) -> list[str]:
    """Wait for a look-up; each waiter gets a list of its own, which it may reorder."""
    return list(await asyncio.shield(look_up))


async def _look_up(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is too long, for example
        raise socket.gaierror(socket.EAI_NONAME, "it is no name that could be looked up") from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))
