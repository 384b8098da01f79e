"""The splice: two joined connections, whose bytes go across as they are (see `core.frames`).

This is the data path. Per chunk of bytes there is one scan of its frame headers, one write to the other side, and
additions. All else happens on a timer or at the end, in `session`.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
import time
from collections.abc import Callable
from typing import Final, Protocol

from memmie_gateway.core.limits import TokenBucket
from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.websocket.frames import FrameScanner
from memmie_gateway.core.websocket.keepalive import Keepalive

SAMPLE_EVERY: Final = 64
"""Of each direction of a connection the first chunk has its time in the gateway measured, and then one in so many."""

# Why reading from a side is paused; bits, as both may hold at once.
PEER_FULL: Final = 1
TOO_FAST: Final = 2


class Joint(Protocol):
    """What the two sides are joined by: a session, as far as a side has to know it."""

    @property
    def rate_max_delay(self) -> float:
        """Seconds a sender may be held back for its message rate before it is closed."""

    def other(self, protocol: Leg) -> Leg:
        """Return the opposite side."""

    def stream_ended(self, protocol: Leg) -> None:
        """Nothing more of what `protocol` sends is forwarded."""

    def lost(self, protocol: Leg, exc: Exception | None) -> None:
        """The TCP connection of `protocol` is gone."""

    def measured(self, protocol: Leg, since: float, again: float) -> None:
        """What `protocol` received at `since` should have left by now."""

    def end(self, cause: Cause) -> None:
        """End the session."""


class Leg(asyncio.Protocol):
    """One side of a session: takes what it sends, and forwards it to the other.

    Attributes:
        side: which one.
        scanner: of the stream this side sends.
        write: takes the bytes for the other side.
    """

    __slots__ = ("_holds", "_sample_in", "keepalive", "scanner", "session", "side", "transport", "write")

    def __init__(
        self, session: Joint, side: Side, transport: asyncio.Transport, scanner: FrameScanner
    ) -> None:
        self.session = session
        self.side = side
        self.transport = transport
        self.scanner = scanner
        self.write: Callable[[bytes], object] = discard
        self.keepalive: Keepalive
        self._holds = 0
        self._sample_in = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.side.value} {self.scanner!r}>"

    def data_received(self, data: bytes) -> None:
        """Forward bytes to the other side. This is the data path."""
        if not self._sample_in:
            self._sample()
        self._sample_in -= 1
        scanner = self.scanner
        onward = scanner.scan(data)
        if onward:
            write = self.write  # a slot that is called as a method is looked up the slow way (CPython 3.11)
            write(onward)
        if scanner.ended:
            self.session.stream_ended(self)

    def _sample(self) -> None:
        """Measure how long this chunk stays in the gateway.

        The transport hands what is written during one turn of the loop to the socket at the end of that turn,
        before it runs what was called soon.
        """
        self._sample_in = SAMPLE_EVERY
        asyncio.get_running_loop().call_soon(self.session.measured, self, time.perf_counter(), 0.0005)

    def pause_writing(self) -> None:
        """This side does not take what is written to it: read no more from the other."""
        self.session.other(self).hold(PEER_FULL)

    def resume_writing(self) -> None:
        """This side takes bytes again."""
        self.session.other(self).release(PEER_FULL)

    def hold(self, reason: int) -> None:
        """Read nothing more from this side until every reason for that is released."""
        if not self._holds and not self.transport.is_closing():
            self.transport.pause_reading()
        self._holds |= reason

    def release(self, reason: int) -> None:
        """Take back one reason to not read."""
        if not self._holds & reason:
            return
        self._holds &= ~reason
        if not self._holds and not self.transport.is_closing():
            self.transport.resume_reading()

    @property
    def held(self) -> bool:
        """Whether the gateway is not reading from this side at present."""
        return bool(self._holds)

    def backlog(self) -> int:
        """Return the bytes written to this side that its end of the connection has not acknowledged."""
        return self.transport.get_write_buffer_size() + _unacknowledged(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection of this side is gone."""
        self.session.lost(self, exc)

    def leave(self) -> None:
        """Both connections are gone: know nothing of the session any more."""
        del self.session
        self.write = discard


class ClientLeg(Leg):
    """The client's side, which also pays for its messages where their rate is limited."""

    __slots__ = ("_bucket", "_paid")

    def __init__(
        self,
        session: Joint,
        transport: asyncio.Transport,
        scanner: FrameScanner,
        bucket: TokenBucket | None,
    ) -> None:
        super().__init__(session, Side.CLIENT, transport, scanner)
        self._bucket = bucket
        self._paid = 0

    def data_received(self, data: bytes) -> None:
        """Forward bytes to Studio, and pay a token for every frame: a fragment or a ping is work, too."""
        if not self._sample_in:
            self._sample()
        self._sample_in -= 1
        scanner = self.scanner
        onward = scanner.scan(data)
        if onward:
            write = self.write  # a slot that is called as a method is looked up the slow way (CPython 3.11)
            write(onward)
        bucket = self._bucket
        if bucket is not None:
            frames_seen = scanner.messages + scanner.extra_frames
            bucket.left -= frames_seen - self._paid
            self._paid = frames_seen
            if bucket.left < 0:
                self._slow_down(bucket)
        if scanner.ended:
            self.session.stream_ended(self)

    def _slow_down(self, bucket: TokenBucket) -> None:
        loop = asyncio.get_running_loop()
        delay = bucket.settle(loop.time())
        if delay > self.session.rate_max_delay:
            self.session.end(Cause.MESSAGE_RATE)
        elif delay:
            self.hold(TOO_FAST)
            loop.call_later(delay, self.release, TOO_FAST)


def discard(_: bytes) -> None:
    """Stand in for the other side's `write` once nothing more may be written to it."""


def _unacknowledged(transport: asyncio.Transport) -> int:
    """Return how many bytes the kernel holds that the peer has not acknowledged; 0 where it cannot tell."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return 0
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except (OSError, ValueError):  # ValueError: it is closed already
        return 0
    return int(struct.unpack("i", answer)[0])
