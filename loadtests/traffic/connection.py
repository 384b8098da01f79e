"""One WebSocket of the load: connect, send the next message when the echo of the last has arrived, close."""

from __future__ import annotations

import asyncio
import struct
import time
from array import array
from collections.abc import Sequence
from typing import Final

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from loadtests.traffic.job import LoadError, Target

NUMBER: Final = struct.Struct("!IQ")
"""How a message begins: the number of its connection, and its own on that connection. The rest is filling."""

AT_ONCE: Final = 25
"""Handshakes under way at the same time."""

HANDSHAKE_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 10.0


class Loop:
    """What all connections of one measurement share.

    Attributes:
        going: an echo is followed by the next message.
        latencies: seconds from each message to its echo.
        awaited: messages whose echo has not arrived.
        quiet: set when there are none.
        failure: gets an exception when a connection fails; nobody sets a result.
    """

    def __init__(self) -> None:
        self.going = False
        self.latencies = array("d")
        self.awaited = 0
        self.quiet = asyncio.Event()
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, words: str) -> None:
        """Void the measurement; the first reason is the one that counts."""
        if not self.failure.done():
            self.failure.set_exception(LoadError(words))
            self.failure.exception()  # seen: not to be complained about where the measurement is over already

    async def run(self, seconds: float) -> None:
        """Let the traffic go on for some seconds.

        Raises:
            LoadError: a connection failed meanwhile.
        """
        await asyncio.wait({self.failure}, timeout=seconds)
        self.check()

    def check(self) -> None:
        """Raise what has gone wrong, if anything.

        Raises:
            LoadError: a connection has failed.
        """
        if self.failure.done():
            self.failure.result()


class Connection(WSListener):
    """One WebSocket.

    Args:
        loop: shared with the other connections.
        number: which one it is.
        size: of its messages, in bytes.
    """

    def __init__(self, loop: Loop, number: int, size: int) -> None:
        super().__init__()
        self._loop = loop
        self._number = number
        self._sequence = 0
        self._message = bytearray(b"m" * size)
        self._sent_at = 0.0
        self._transport: WSTransport
        self._closing = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep what messages are sent with."""
        self._transport = transport

    def send(self) -> None:
        """Send the next message."""
        self._sequence += 1
        NUMBER.pack_into(self._message, 0, self._number, self._sequence)
        self._loop.awaited += 1
        self._sent_at = time.perf_counter()
        self._transport.send(WSMsgType.BINARY, self._message)

    def on_ws_frame(self, _: WSTransport, frame: WSFrame) -> None:
        """Take an echo, and send the next message."""
        if frame.get_payload_as_bytes() != self._message:
            self._not_the_echo(frame)
            return
        loop = self._loop
        loop.latencies.append(time.perf_counter() - self._sent_at)
        loop.awaited -= 1
        if loop.going:
            self.send()
        elif not loop.awaited:
            loop.quiet.set()

    def _not_the_echo(self, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.CLOSE:
            self._loop.fail(
                f"connection {self._number}: what came back for message {self._sequence} is not its echo"
            )
        elif not self._closing:  # else it is the answer to ours, and the server hangs up (RFC 6455 §7.1.1)
            code, reason = int(frame.get_close_code().value), frame.get_close_reason() or "no reason"
            self._loop.fail(f"connection {self._number} was closed with {code} ({reason})")

    def on_ws_disconnected(self, _: WSTransport) -> None:
        """Notice a connection that broke."""
        if not self._closing:
            self._loop.fail(f"connection {self._number} broke after message {self._sequence}")

    async def close(self) -> None:
        """Close with a handshake (RFC 6455 §7.1.2).

        Raises:
            LoadError: the other end does not answer.
        """
        self._closing = True
        self._transport.send_close(picows.WSCloseCode.OK)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._transport.wait_disconnected()
        except TimeoutError:
            raise LoadError(
                f"connection {self._number}: no answer to its Close frame in {CLOSE_SECONDS:g} s"
            ) from None


async def connect(loop: Loop, target: Target, number: int, size: int) -> Connection:
    """Open connection `number`.

    Raises:
        LoadError: it is refused, or takes too long.
    """
    try:
        _, listener = await ws_connect(
            lambda: Connection(loop, number, size),
            target.url,
            extra_headers=target.headers[number],
            websocket_handshake_timeout=HANDSHAKE_SECONDS,
            read_buffer_init_size=4096,
            max_frame_size=size + 1024,
        )
    except (picows.WSError, OSError, TimeoutError) as error:
        raise LoadError(
            f"connection {number + 1} of {len(target.headers)} failed: {str(error) or type(error).__name__}"
        ) from None
    assert isinstance(listener, Connection)  # noqa: S101 - the factory above made it
    return listener


async def connect_all(loop: Loop, target: Target, size: int = NUMBER.size) -> list[Connection]:
    """Open a connection for each of the target's headers, a few at a time.

    Raises:
        LoadError: one is refused, or takes too long.
    """
    connections: list[Connection] = []
    numbers = range(len(target.headers))
    for first in numbers[::AT_ONCE]:
        batch = numbers[first : first + AT_ONCE]
        connections += await asyncio.gather(*(connect(loop, target, number, size) for number in batch))
    loop.check()
    return connections


async def close_all(connections: Sequence[Connection]) -> None:
    """Close connections, a few at a time.

    Raises:
        LoadError: one does not answer.
    """
    for first in range(0, len(connections), AT_ONCE):
        await asyncio.gather(*(connection.close() for connection in connections[first : first + AT_ONCE]))
