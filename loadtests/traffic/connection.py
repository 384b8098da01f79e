"""One WebSocket of the load: it connects, sends numbered messages, compares their echoes, and closes."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from typing import Any, Final, NoReturn

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from loadtests.traffic.job import LoadError

NUMBER: Final = struct.Struct("!IQ")
"""How a message begins: the number of its connection, and its own on that connection. The rest is filling."""

PATIENCE_SECONDS: Final = 10.0
"""How long after the last message an echo may arrive before its message counts as lost."""

CLOSE_SECONDS: Final = 10.0

CODE: Final = struct.Struct("!H")
"""How the payload of a Close frame begins, if it has one."""

NORMAL: Final = 1000
NO_CODE: Final = 1005
"""Close codes (RFC 6455 §7.4.1)."""


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
        self._answer: int | None = None
        """The code of the Close frame that came back for ours."""

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
        if (
            not self._due
            or frame.get_payload_as_bytes() != self._message
            or frame.msg_type != WSMsgType.BINARY
            or not frame.fin
        ):
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
        elif self._closing:  # the answer to ours; the server hangs up now (RFC 6455 §7.1.1)
            self._answer = _close_code(frame)
        else:
            code, reason = _close_code(frame), frame.get_close_reason() or "no reason"
            self._traffic.fail(f"connection {self._number} was closed with {code} ({reason})")

    def on_ws_disconnected(self, _: WSTransport) -> None:
        """Notice a connection that broke."""
        if not self._closing:
            self._traffic.fail(f"connection {self._number} broke after message {self._sent}")

    async def close(self) -> None:
        """Close with a handshake (RFC 6455 §7.1.2).

        Raises:
            LoadError: the other end does not answer with the same code, or a connection has failed before.
        """
        self._closing = True
        self._transport.send_close(picows.WSCloseCode.OK)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._transport.wait_disconnected()
        except TimeoutError:
            missing = "no answer to its Close frame" if self._answer is None else "the server did not hang up"
            self._void(f"{missing} in {CLOSE_SECONDS:g} s")
        except picows.WSError as error:
            self._void(f"its Close frame was answered with nonsense: {error}")
        if self._answer is None:
            self._void("its Close frame was not answered with one")
        if self._answer != NORMAL:
            self._void(f"its Close frame with {NORMAL} was answered with {self._answer}")

    def _void(self, words: str) -> NoReturn:
        """Void the measurement, for this or what went wrong before."""
        self._traffic.fail(f"connection {self._number}: {words}")
        self._traffic.check()
        raise AssertionError("a failure was noted and not raised")


def _close_code(frame: WSFrame) -> int:
    """Return the code of a Close frame, 1005 for none (RFC 6455 §7.1.5)."""
    code = frame.get_payload_as_bytes()[: CODE.size]
    return int(CODE.unpack(code)[0]) if code else NO_CODE
