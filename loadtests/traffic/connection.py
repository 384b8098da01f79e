"""The load's WebSocket client: it connects, sends numbered messages, compares their echoes, and closes.

Messages at a rate are sent at times that are fixed beforehand (an open loop): a slow gateway does not slow down its load.
A message's latency counts from the time it was due, not from when it was sent. If the gateway stops for a while, all
messages that were due meanwhile show it, and not only one for each connection (coordinated omission in a closed loop).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
import time
from array import array
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from loadtests.common.errors import LoadTestError

NUMBER: Final = struct.Struct("!IQ")
"""How a message begins: the number of its connection, and its own on that connection. The rest is filling."""

AT_ONCE: Final = 25
"""How many handshakes are under way at the same time."""

HANDSHAKE_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 10.0
"""How long after the last message an echo may arrive before its message counts as lost."""

# Close codes (RFC 6455 §7.4.1).
NORMAL: Final = 1000
NO_CODE: Final = 1005

_ABSOLUTE_TIME: Final = 1  # TFD_TIMER_ABSTIME of timerfd_settime(2)
_TICK_BYTES: Final = 8  # what reading the timer returns: how often it has expired, a 64-bit integer
_NANOSECONDS: Final = 1_000_000_000

Made = TypeVar("Made", bound="Connection")


class Traffic:
    """What all connections of one measurement share. What waits here raises a LoadTestError if a connection fails."""

    def __init__(self) -> None:
        self.awaited = 0  # messages without an echo so far
        self.quiet = asyncio.Event()  # set when the last of them arrives
        self.going = True  # whether a closed loop goes on
        self.latencies = array("d")  # of a closed loop
        self.idle: deque[Connection] = (
            deque()
        )  # connections whose turn comes, if not all of them send at once
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

        `size` is that of their messages in bytes, and `first` the number of the first one.
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
        """Wait for the echoes of all messages, for so many seconds after the last one was sent."""
        if self.awaited:
            self.quiet.clear()
            quiet = asyncio.ensure_future(self.quiet.wait())
            either: set[asyncio.Future[Any]] = {quiet, self.failure}
            await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            quiet.cancel()
        self.check()
        if self.awaited:
            words = (
                f"messages lost: {self.awaited}, without an echo within {patience:g} s of the last one sent"
            )
            raise LoadTestError(words)


class Connection(WSListener):
    """One WebSocket, number `number` of the measurement; its messages have `size` bytes."""

    message_type = WSMsgType.BINARY

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
        self._answer: int | None = None  # the code of the Close frame that answered ours

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the transport to send with."""
        self._transport = transport

    def send(self, due: float) -> None:
        """Send the next message; its latency counts from `due` (`time.perf_counter`)."""
        self._sent += 1
        self._traffic.awaited += 1
        self._due.append(due)
        self._transport.send(self.message_type, self.message(self._sent))

    def message(self, number: int) -> bytes | bytearray:
        """Return a message."""
        NUMBER.pack_into(self._message, 0, self.number, number)
        return self._message

    def is_echo(self, payload: bytes, number: int) -> bool:
        """Whether this answers the message with this number."""
        return payload == self.message(number)

    def on_ws_frame(self, _: WSTransport, frame: WSFrame) -> None:
        """Take the echo of the oldest message without one."""
        if (
            not self._due
            or not self.is_echo(frame.get_payload_as_bytes(), self._received + 1)
            or frame.msg_type != self.message_type
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
            self._fail(f"what came back for message {self._received + 1} is not its echo")
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
        """Close with a handshake (RFC 6455 §7.1.2), which the other end must answer with the same code."""
        self._closing = True
        self._transport.send_close(picows.WSCloseCode.OK)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._transport.wait_disconnected()
        except TimeoutError:
            missing = "no answer to its Close frame" if self._answer is None else "the server did not hang up"
            self._fail(f"{missing} in {CLOSE_SECONDS:g} s")
        except picows.WSError as error:
            self._fail(f"its Close frame got an invalid answer: {error}")
        if self._answer is None:
            self._fail("its Close frame was not answered with one")
        elif self._answer != NORMAL:
            self._fail(f"its Close frame with {NORMAL} was answered with {self._answer}")
        self._traffic.check()

    def _fail(self, words: str) -> None:
        self._traffic.fail(f"connection {self.number}: {words}")


def _close_code(frame: WSFrame) -> int:
    """Return the code of a Close frame, 1005 if it has none (RFC 6455 §7.1.5)."""
    code = frame.get_payload_as_bytes()[:2]
    return int.from_bytes(code) if code else NO_CODE


async def _few_at_a_time(jobs: Iterable[Awaitable[object]]) -> None:
    """Do all jobs; the next one begins as soon as one of `AT_ONCE` is done."""
    waiting = iter(jobs)

    async def worker() -> None:
        for job in waiting:
            await job

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


class Timed(Connection):
    """Keeps the times of its messages, in their order."""

    def __init__(self, traffic: Traffic, number: int, size: int) -> None:
        super().__init__(traffic, number, size)
        self.latencies = array("d")  # seconds from when a message was due to its echo
        self.lateness = array("d")  # seconds from when a message was due until it was sent

    def send(self, due: float) -> None:
        """Send the next message, and keep how late it is."""
        self.lateness.append(time.perf_counter() - due)
        super().send(due)

    def echoed(self, seconds: float) -> None:
        """Keep the latency."""
        self.latencies.append(seconds)


class Schedule:
    """Connections that send in turn, each at `rate` messages a second, evenly spread over time."""

    def __init__(self, connections: Sequence[Connection], rate: float) -> None:
        self._connections = connections
        self._interval = 1 / (rate * len(connections))
        self._start = 0.0
        self._turn = 0

    async def run(self, turns: int, traffic: Traffic) -> None:
        """Have every connection send that many messages; a further run continues in the same rhythm."""
        if not self._turn:
            self._start = time.perf_counter() + self._interval
        end = self._turn + turns * len(self._connections)
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def send_what_is_due() -> None:
            now = time.perf_counter()
            while self._turn < end:
                due = self._start + self._turn * self._interval
                if due > now:
                    return
                self._connections[self._turn % len(self._connections)].send(due)
                self._turn += 1
            if not sent.done():
                sent.set_result(None)

        with ticking(self._start + self._turn * self._interval, self._interval, send_what_is_due):
            await asyncio.wait({sent, traffic.failure}, return_when=asyncio.FIRST_COMPLETED)
        traffic.check()


@contextlib.contextmanager
def ticking(first: float, interval: float, on_tick: Callable[[], None]) -> Iterator[None]:
    """Call `on_tick` again and again for the length of the block, from the running event loop, exact to some microseconds.

    The timers of an event loop are exact to a millisecond. Python's `os.timerfd_create` came with 3.13; before that, it
    takes a call into the C library (timerfd_create(2)). The clock is `time.monotonic`, on Linux `time.perf_counter`, too.
    Ticks that come due while the loop is busy are one call: `on_tick` has to look at the clock itself.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if timer < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    loop = asyncio.get_running_loop()

    def tick() -> None:
        os.read(timer, _TICK_BYTES)
        on_tick()

    try:
        # A struct itimerspec: seconds and nanoseconds of the interval, then of the first tick.
        nanoseconds = (max(1, round(seconds * _NANOSECONDS)) for seconds in (interval, first))
        spec = (ctypes.c_long * 4)(*(part for each in nanoseconds for part in divmod(each, _NANOSECONDS)))
        if libc.timerfd_settime(timer, _ABSOLUTE_TIME, spec, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        loop.add_reader(timer, tick)
        yield
    finally:
        loop.remove_reader(timer)
        os.close(timer)
