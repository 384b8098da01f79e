"""Looks up host names; simultaneous look-ups of one name are coalesced.

A look-up occupies a thread and cannot be cancelled, and there are few such threads. Without coalescing, each request
that times out would leave a blocked thread behind while a name server does not answer. Soon there would be no thread
for other names.
"""

from __future__ import annotations

import asyncio
import socket

from memmie_gateway.core.steps import Maybe
from memmie_gateway.net.http1.url import ServiceUrl


class Resolver:
    """Resolves host names to addresses. It shares look-ups that are under way, and caches no results."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Task[list[str]]] = {}

    def __repr__(self) -> str:
        return f"<Resolver under_way={len(self._under_way)}>"

    def addresses(self, where: ServiceUrl) -> Maybe[list[str]]:
        """Return the addresses of a service's host, at least one; without waiting if the host is an address.

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
            look_up.exception()  # marks it as retrieved, because perhaps nothing waits for it any more


async def _shared(look_up: asyncio.Task[list[str]]) -> list[str]:
    """Wait for a look-up; each waiter gets a list of its own, which it may reorder."""
    return list(await asyncio.shield(look_up))


async def _look_up(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is too long, for example
        raise socket.gaierror(socket.EAI_NONAME, "the host name is not valid") from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))
