"""A TCP relay between one gateway and one service, which can be cut, slowed down and moved to another address."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

CONNECT_SECONDS: Final = 1.0
"""How long the relay tries to reach the service; on loopback it answers at once or never."""


class _End(asyncio.Protocol):
    """One end of a relayed connection; it writes what it receives to the other end.

    Attributes:
        accepted: whether it is the end of the gateway.
        other: the other end; None until there is one.
        transport: its connection; None until it is connected.
    """

    def __init__(self, link: Link, other: _End | None = None) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self.accepted = other is None
        self.other = other
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        # What is delayed, and when it is due. It stays in order, even if the delay ends before it is due.
        self._delayed: deque[tuple[float, bytes | None]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._link.ends.add(self)
        if self._link.is_cut:
            transport.pause_reading()
        if self.accepted:
            self._link.join(self)

    def joined(self, other: _End) -> None:
        """Take the other end, and pass on what has arrived before."""
        self.other = other
        for data in self._early:
            self._pass_on(data)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self._early.append(data)
        else:
            self._pass_on(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.ends.discard(self)
        if self.other is None or self.other.transport is None:
            return
        if exc is None:
            self._pass_on(None)
        else:
            self.other.transport.abort()

    def _pass_on(self, data: bytes | None) -> None:
        """Write data to the other end, or close it, after what came before."""
        if not self._link.delay and not self._delayed:
            self._write(data)
            return
        self._delayed.append((self._loop.time() + self._link.delay, data))
        if len(self._delayed) == 1:
            self._loop.call_later(self._link.delay, self._write_due)

    def _write_due(self) -> None:
        while self._delayed and self._delayed[0][0] <= self._loop.time():
            self._write(self._delayed.popleft()[1])
        if self._delayed:
            self._loop.call_at(self._delayed[0][0], self._write_due)

    def _write(self, data: bytes | None) -> None:
        assert self.other is not None
        assert self.other.transport is not None
        if data is None:
            self.other.transport.close()
        else:
            self.other.transport.write(data)


class Link:
    """A relay that a gateway takes for the service.

    Args:
        address: the loopback address to listen on.
        port: the port of the relay and of the service.

    Attributes:
        ends: the open ends of all relayed connections.
        is_cut: whether nothing passes, in either direction, as in a network that loses every packet.
        delay: seconds by which everything is late.
    """

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self.ends: set[_End] = set()
        self.is_cut = False
        self.delay = 0.0
        self._server: asyncio.Server | None = None
        self._joining: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """How many connections of the gateway are open."""
        return sum(end.accepted for end in self.ends)

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(self), self.address, self.port)

    def shut(self) -> None:
        """Listen no more, as the kernel does for a process that has ended."""
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Listen no more, and end every connection."""
        self.shut()
        self.reset()
        for task in self._joining:
            task.cancel()
        await asyncio.gather(*self._joining, return_exceptions=True)

    async def move(self, address: str) -> None:
        """Leave the address, as a service does that is started elsewhere; the next one that listens there is another."""
        await self.close()
        self.address = address
        await self.open()

    def cut(self) -> None:
        """Let nothing pass. Connections are still accepted, by the kernel, and nobody answers."""
        self.is_cut = True
        self._each(lambda transport: transport.pause_reading())

    def heal(self) -> None:
        """Let everything pass again, first what was held up."""
        self.is_cut = False
        self._each(lambda transport: transport.resume_reading())

    def reset(self) -> None:
        """Abort every connection."""
        self._each(lambda transport: transport.abort())

    def join(self, end: _End) -> None:
        """Connect a new end with the service."""
        task = asyncio.get_running_loop().create_task(self._join(end))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    async def _join(self, end: _End) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, other = await loop.create_connection(lambda: _End(self, end), "127.0.0.1", self.port)
        except (OSError, TimeoutError):
            if end.transport is not None:
                end.transport.abort()
            return
        end.joined(other)
        if end.transport is not None and end.transport.is_closing() and other.transport is not None:
            other.transport.close()

    def _each(self, do: Callable[[asyncio.Transport], None]) -> None:
        for end in list(self.ends):
            if end.transport is not None and not end.transport.is_closing():
                do(end.transport)
