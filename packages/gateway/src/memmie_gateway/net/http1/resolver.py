"""Looking names up: one look-up of a name at a time, whoever waits for it.

A look-up is a thread's work that cannot be called off, and there are few such threads. Of a name server that does not
answer, each question that gave up would leave one behind, and soon names that can be looked up would wait for a thread.
"""

from __future__ import annotations

import asyncio
import socket

from memmie_gateway.net.http1.url import ServiceUrl


class Resolver:
    """Finds the addresses of services by their names. Nothing is remembered beyond the look-up under way."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Task[list[str]]] = {}

    def __repr__(self) -> str:
        return f"<Resolver under_way={len(self._under_way)}>"

    async def addresses(self, where: ServiceUrl) -> list[str]:
        """Return the addresses of a service's host, at least one.

        Raises:
            OSError: the name cannot be looked up.
        """
        if where.is_address:
            return [where.host]
        look_up = self._under_way.get(where.host)
        if look_up is None:
            look_up = asyncio.create_task(_look_up(where.host, where.port))
            self._under_way[where.host] = look_up
            look_up.add_done_callback(lambda done: self._done(where.host, done))
        return await asyncio.shield(look_up)

    def _done(self, host: str, look_up: asyncio.Task[list[str]]) -> None:
        del self._under_way[host]
        if not look_up.cancelled():
            look_up.exception()  # who waited has it; nobody may be left to see it


async def _look_up(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is too long, say
        raise socket.gaierror(socket.EAI_NONAME, "it is no name that could be looked up") from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))
