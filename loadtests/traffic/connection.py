"""One WebSocket of the load: it connects, sends numbered messages, compares their echoes, and closes."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from typing import Any, Final

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from loadtests.traffic.job import LoadError

NUMBER: Final = struct.Struct("!IQ")
"""How a message begins: the number of its connection, and its own on that connection. The rest is filling."""

PATIENCE_SECONDS: Final = 10.0
"""How long after the last message an echo may arrive before its message counts as lost."""

CLOSE_SECONDS: Final = 10.0


class Traffic:
    """What all connections of one measurement share.

    Attributes:
        awaited: messages whose echo has not arrived.
        quiet: set when the last of them arrives.
        failure: gets an exception when a connection fails; nobody sets a result.
    """

    def __init__(self) -> None:
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

    async def last_echoes(self, patience: float = PATIENCE_SECONDS) -> None:
        """Wait for the echoes of all messages, once no more are sent.

        Args:
            patience: how many seconds later than now an echo may come before its message counts as lost.

        Raises:
            LoadError: a connection failed, or a message was lost.
        """
        quiet = asyncio.ensure_future(self.quiet.wait())
        either: set[asyncio.Future[Any]] = {quiet, self.failure}
        if self.awaited:
            self.quiet.clear()
            await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        quiet.cancel()
        self.check()
        if self.awaited:
            raise LoadError(
                f"messages lost: {self.awaited}, whose echo did not come within {patience:g} s of the last one sent"
            )

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
        traffic: shared with the other connections.
        number: which one it is.
        size: of its messages, in bytes.
    """

    def __init__(self, traffic: Traffic, number: int, size: int = NUMBER.size) -> None:
        super().__init__()
        self.size = size
        self._traffic = traffic
        self._number = number
        self._message = bytearray(b"m" * size)
        self._sent = 0
        self._received = 0
        self._due: deque[float] = deque()
        self._transport: WSTransport
        self._closing = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep what messages are sent with."""
        self._transport = transport

    def send(self, due: float) -> None:
        """Send the next message.

        Args:
            due: since when its latency counts (`time.perf_counter`).
        """
        self._sent += 1
        NUMBER.pack_into(self._message, 0, self._number, self._sent)
        self._traffic.awaited += 1
        self._due.append(due)
        self._transport.send(WSMsgType.BINARY, self._message)

    def on_ws_frame(self, _: WSTransport, frame: WSFrame) -> None:
        """Take the echo of the oldest message that has none yet."""
        NUMBER.pack_into(self._message, 0, self._number, self._received + 1)
        if not self._due or frame.get_payload_as_bytes() != self._message:
            self._not_the_echo(frame)
            return
        self._received += 1
        traffic = self._traffic
        traffic.awaited -= 1
        self.echoed(time.perf_counter() - self._due.popleft())
        if not traffic.awaited:
            traffic.quiet.set()

    def echoed(self, seconds: float) -> None:
        """Do what follows an echo; nothing here.

        Args:
            seconds: since its message was due.
        """

    def _not_the_echo(self, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.CLOSE:
            self._traffic.fail(
                f"connection {self._number}: what came back for message {self._received + 1} is not its echo"
            )
        elif not self._closing:  # else it is the answer to ours, and the server hangs up (RFC 6455 §7.1.1)
            code, reason = int(frame.get_close_code().value), frame.get_close_reason() or "no reason"
            self._traffic.fail(f"connection {self._number} was closed with {code} ({reason})")

    def on_ws_disconnected(self, _: WSTransport) -> None:
        """Notice a connection that broke."""
        if not self._closing:
            self._traffic.fail(f"connection {self._number} broke after message {self._sent}")

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
