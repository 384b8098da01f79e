"""The load's WebSocket client: it connects, sends numbered messages, compares their echoes, and closes."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, NoReturn, TypeVar

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from loadtests.common.errors import LoadTestError

NUMBER: Final = struct.Struct("!IQ")
"""How a message begins: the number of its connection, and its own on that connection. The rest is filling."""

AT_ONCE: Final = 25
"""How many handshakes are under way at the same time."""

HANDSHAKE_SECONDS: Final = 30.0

PATIENCE_SECONDS: Final = 10.0
"""How long after the last message an echo may arrive before its message counts as lost."""

CLOSE_SECONDS: Final = 10.0

CODE: Final = struct.Struct("!H")
"""How the payload of a Close frame begins, if it has one."""

NORMAL: Final = 1000
NO_CODE: Final = 1005
"""Close codes (RFC 6455 §7.4.1)."""

Made = TypeVar("Made", bound="Connection")


class Traffic:
    """What all connections of one measurement share. What waits here raises a LoadTestError if a connection fails."""

    def __init__(self) -> None:
        self.awaited = 0  # messages without an echo so far
        self.quiet = asyncio.Event()  # set when the last of them arrives
        # Gets an exception when a connection fails, and never a result.
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, words: str) -> None:
        """Void the measurement; the first reason counts."""
        if not self.failure.done():
            self.failure.set_exception(LoadTestError(words))
            self.failure.exception()  # retrieved: the measurement may be over already, and nobody else would look

    def check(self) -> None:
        """Raise the LoadTestError of a connection that has failed, if there is one."""
        if self.failure.done():
            self.failure.result()

    async def connect(
        self,
        url: str,
        headers: Sequence[dict[str, str]],
        kind: Callable[[Traffic, int, int], Made],
        size: int,
        first: int = 0,
    ) -> list[Made]:
        """Open a connection for each set of request headers, a few at a time.

        Args:
            url: to connect to.
            headers: of each connection.
            kind: the class of the connections.
            size: of their messages in bytes.
            first: the number of the first one.

        Raises:
            LoadTestError: one is refused, or takes too long.
        """

        async def connect(connection: Made) -> None:
            index = connection.number - first
            try:
                await ws_connect(
                    lambda: connection,
                    url,
                    extra_headers=headers[index],
                    websocket_handshake_timeout=HANDSHAKE_SECONDS,
                    read_buffer_init_size=4096,
                    max_frame_size=size + 1024,
                )
            except (picows.WSError, OSError, TimeoutError) as error:
                why = str(error) or type(error).__name__
                raise LoadTestError(f"connection {index + 1} of {len(headers)} failed: {why}") from None

        connections = [kind(self, first + index, size) for index in range(len(headers))]
        await _few_at_a_time(map(connect, connections))
        self.check()
        return connections

    async def close(self, connections: Iterable[Connection]) -> None:
        """Close all connections with a handshake, a few at a time."""
        await _few_at_a_time(connection.close() for connection in connections)
        self.check()

    async def run(self, seconds: float) -> None:
        """Let the traffic go on for some seconds."""
        await asyncio.wait({self.failure}, timeout=seconds)
        self.check()

    async def last_echoes(self, patience: float = PATIENCE_SECONDS) -> None:
        """Wait for the echoes of all messages, for so many seconds after the last one was sent.

        Raises:
            LoadTestError: a connection failed, or a message was lost.
        """
        if self.awaited:
            self.quiet.clear()
            quiet = asyncio.ensure_future(self.quiet.wait())
            either: set[asyncio.Future[Any]] = {quiet, self.failure}
            await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            quiet.cancel()
        self.check()
        if self.awaited:
            words = f"without an echo within {patience:g} s of the last one sent"
            raise LoadTestError(f"messages lost: {self.awaited}, {words}")


class Connection(WSListener):
    """One WebSocket, number `number` of the measurement; its messages have `size` bytes."""

    def __init__(self, traffic: Traffic, number: int, size: int = NUMBER.size) -> None:
        super().__init__()
        self.number = number
        self.size = size
        self._traffic = traffic
        self._message = bytearray(b"m" * size)
        self._sent = 0
        self._received = 0
        self._due: deque[float] = deque()
        self._transport: WSTransport
        self._closing = False
        self._answer: int | None = None
        """The code of the Close frame that answered ours."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the transport to send with."""
        self._transport = transport

    def send(self, due: float) -> None:
        """Send the next message; its latency counts from `due` (`time.perf_counter`)."""
        self._sent += 1
        NUMBER.pack_into(self._message, 0, self.number, self._sent)
        self._traffic.awaited += 1
        self._due.append(due)
        self._transport.send(WSMsgType.BINARY, self._message)

    def on_ws_frame(self, _: WSTransport, frame: WSFrame) -> None:
        """Take the echo of the oldest message without one."""
        NUMBER.pack_into(self._message, 0, self.number, self._received + 1)
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
        """Handle an echo that came `seconds` after its message was due; here nothing follows."""

    def _not_the_echo(self, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.CLOSE:
            self._traffic.fail(
                f"connection {self.number}: what came back for message {self._received + 1} is not its echo"
            )
        elif self._closing:  # the answer to ours; the server hangs up now (RFC 6455 §7.1.1)
            self._answer = _close_code(frame)
        else:
            code, reason = _close_code(frame), frame.get_close_reason() or "no reason"
            self._traffic.fail(f"connection {self.number} was closed with {code} ({reason})")

    def on_ws_disconnected(self, _: WSTransport) -> None:
        """Notice a connection that broke."""
        if not self._closing:
            self._traffic.fail(f"connection {self.number} broke after message {self._sent}")

    async def close(self) -> None:
        """Close with a handshake (RFC 6455 §7.1.2).

        Raises:
            LoadTestError: the other end does not answer with the same code, or a connection has failed before.
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
            self._void(f"its Close frame got an invalid answer: {error}")
        if self._answer is None:
            self._void("its Close frame was not answered with one")
        if self._answer != NORMAL:
            self._void(f"its Close frame with {NORMAL} was answered with {self._answer}")

    def _void(self, words: str) -> NoReturn:
        """Void the measurement, for this reason or an earlier one."""
        self._traffic.fail(f"connection {self.number}: {words}")
        self._traffic.check()
        raise AssertionError("a failure was noted and not raised")


def _close_code(frame: WSFrame) -> int:
    """Return the code of a Close frame, 1005 if it has none (RFC 6455 §7.1.5)."""
    code = frame.get_payload_as_bytes()[: CODE.size]
    return int(CODE.unpack(code)[0]) if code else NO_CODE


async def _few_at_a_time(jobs: Iterable[Awaitable[object]]) -> None:
    """Do all jobs; the next one begins as soon as one of `AT_ONCE` is done."""
    waiting = iter(jobs)

    async def worker() -> None:
        for job in waiting:
            await job

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
