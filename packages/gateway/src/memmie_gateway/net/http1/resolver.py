"""Looks up host names, and remembers the last addresses of each name.

A name server that fails or is silent must not fail a service that works. So the last addresses of a name stay in use
until a look-up succeeds again. But if the service itself has failed and the name server says that there is no such name,
the addresses are forgotten: another service may have got them. For the same reason no answer is remembered while a
service is in doubt.

A name is one service at one address. Connections keep to the address that has answered until it fails, even if the name
has several: a user's events exist only in one process of Studio.

A look-up occupies a thread and cannot be cancelled, and there are few such threads. So there is at most one look-up of a
name at a time, and it goes on even if nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
from collections.abc import Callable
from typing import Final

from memmie_gateway.core.steps import Maybe
from memmie_gateway.net import clock
from memmie_gateway.net.http1.system_errors import words_of
from memmie_gateway.net.http1.url import ServiceUrl

FRESH_SECONDS: Final = 5.0
"""Seconds after a look-up until the next one, unless the service is in doubt."""

DOUBT_SECONDS: Final = 10.0
"""Seconds for which a service is in doubt after it has failed. Meanwhile its name is looked up for every connection."""

PATIENCE_SECONDS: Final = 0.5
"""Seconds to wait for a look-up if the last addresses are known."""

RETRY_SECONDS: Final = 1.0
"""Seconds after a failed look-up until the next one."""


_NO_SUCH_NAME: Final = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
"""The errors that are answers: the name, or an address for it, does not exist."""


class _Name:
    """The knowledge about one name.

    Attributes:
        addresses: the last ones, the one in use first; empty if none is known.
        doubted_until: the loop's time until which the service is in doubt.
        fresh_until: the loop's time until which there is no further look-up.
        look_up: the look-up under way.
        stale: whether the last look-up failed, or is late.
        several: whether it was reported that the name has several addresses.
    """

    __slots__ = ("addresses", "doubted_until", "fresh_until", "look_up", "several", "stale")

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.doubted_until = -math.inf
        self.fresh_until = 0.0
        self.look_up: asyncio.Task[list[str]] | None = None
        self.stale = False
        self.several = False


class Resolver:
    """Resolves host names to addresses.

    Attributes:
        on_stale: called when the last addresses of a name stay in use because it cannot be looked up; with the name and
            the reason. It is called once until a look-up succeeds again.
        on_several: called once for a name with several addresses of one family; with the name and its addresses.
    """

    def __init__(self) -> None:
        self._names: dict[str, _Name] = {}
        self.on_stale: Callable[[str, str], None] = _nothing
        self.on_several: Callable[[str, list[str]], None] = _nothing

    def __repr__(self) -> str:
        under_way = sum(name.look_up is not None for name in self._names.values())
        return f"<Resolver names={len(self._names)} stale={self.stale} under_way={under_way}>"

    @property
    def stale(self) -> int:
        """The number of names whose last addresses are in use because they cannot be looked up."""
        return sum(name.stale for name in self._names.values())

    def addresses(self, where: ServiceUrl) -> Maybe[list[str]]:
        """Return the addresses of a service's host, at least one; without waiting if it is known.

        Raises:
            OSError: no address is known, and the name cannot be looked up; raised by the awaitable.
        """
        if where.is_address:
            return [where.host]
        name = self._names.get(where.host)
        if name is None:
            name = self._names[where.host] = _Name()
        if name.addresses and name.fresh_until > asyncio.get_running_loop().time():
            return name.addresses.copy()
        look_up = name.look_up or self._look_up(name, where)
        if name.stale:
            return name.addresses.copy()
        return self._patiently(name, where.host, look_up) if name.addresses else _shared(look_up)

    def keep_to(self, where: ServiceUrl, addresses: list[str]) -> None:
        """Keep to the address that has answered.

        Args:
            where: the service.
            addresses: what `addresses` returned, the one that has answered first.
        """
        name = self._names.get(where.host)
        if name is not None and addresses[0] in name.addresses[1:]:
            _prefer(name.addresses, addresses[0])

    def doubt(self, where: ServiceUrl) -> None:
        """Look the name up for the next connections, because the service may be at another address now."""
        name = self._names.get(where.host)
        if name is not None:
            name.doubted_until = asyncio.get_running_loop().time() + DOUBT_SECONDS
            if not name.stale:
                name.fresh_until = 0.0

    def give_up(self, where: ServiceUrl) -> None:
        """Go on to the next address of the service, because the one in use has failed."""
        name = self._names.get(where.host)
        if name is not None:
            name.addresses = name.addresses[1:] + name.addresses[:1]
        self.doubt(where)

    def forget(self, where: ServiceUrl) -> None:
        """Forget the name of a service that is not used any more."""
        self._names.pop(where.host, None)

    def _look_up(self, name: _Name, where: ServiceUrl) -> asyncio.Task[list[str]]:
        look_up = asyncio.create_task(_look_up(where.host, where.port))
        name.look_up = look_up
        look_up.add_done_callback(lambda done: self._done(name, where.host, done))
        return look_up

    async def _patiently(self, name: _Name, host: str, look_up: asyncio.Task[list[str]]) -> list[str]:
        """Wait for a look-up, but use the last addresses if it fails or is late."""
        try:
            with clock.timeout(PATIENCE_SECONDS):
                await asyncio.shield(look_up)
        except TimeoutError:
            if not look_up.done():
                self._became_stale(name, host, f"no answer within {PATIENCE_SECONDS:g} seconds")
        except OSError:
            if not name.addresses:
                raise
        return name.addresses.copy()

    def _done(self, name: _Name, host: str, look_up: asyncio.Task[list[str]]) -> None:
        """Use the result of a look-up; the tasks that wait for it go on after this."""
        name.look_up = None
        if look_up.cancelled():
            return
        now = asyncio.get_running_loop().time()
        error = (
            look_up.exception()
        )  # this marks it as retrieved, because perhaps nothing waits for it any more
        if error is None:
            name.stale = False
            name.fresh_until = now if now < name.doubted_until else now + FRESH_SECONDS
            self._learn(name, host, look_up.result())
        elif now < name.doubted_until and isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME:
            name.stale = False
            name.addresses = []
        elif name.addresses:
            name.fresh_until = now + RETRY_SECONDS
            self._became_stale(name, host, words_of(error) if isinstance(error, OSError) else str(error))

    def _learn(self, name: _Name, host: str, found: list[str]) -> None:
        in_use = name.addresses[:1]
        name.addresses = in_order(found)
        if in_use and in_use[0] in name.addresses:
            _prefer(name.addresses, in_use[0])
        several = len({":" in address for address in found}) < len(found)
        if several and not name.several:
            name.several = True
            self.on_several(host, name.addresses.copy())

    def _became_stale(self, name: _Name, host: str, words: str) -> None:
        if not name.stale:
            name.stale = True
            self.on_stale(host, words)


def in_order(found: list[str]) -> list[str]:
    """Return addresses with the lowest first; the families keep the order in which the system prefers them."""
    families = list(dict.fromkeys(":" in address for address in found))
    return sorted(found, key=lambda each: (families.index(":" in each), int(ipaddress.ip_address(each))))


def _prefer(addresses: list[str], first: str) -> None:
    addresses.sort(key=lambda address: address != first)


async def _shared(look_up: asyncio.Task[list[str]]) -> list[str]:
    """Wait for a look-up; each waiter gets a list of its own, which it may reorder."""
    return in_order(await asyncio.shield(look_up))


async def _look_up(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is too long, for example
        raise socket.gaierror(socket.EAI_NONAME, "the host name is not valid") from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def _nothing(*_: object) -> None:
    """Do nothing; the default of the callbacks."""
