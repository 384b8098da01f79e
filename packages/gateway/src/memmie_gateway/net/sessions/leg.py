"""The legs of a session: two joined connections, and bytes that pass between them unchanged (see `core.websocket.frames`).

This is the data path. Per chunk of bytes there is one scan of its frame headers, one write to the other side, and
a few additions. Everything else happens on a timer or at the end, in `session`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Literal, Protocol

from memmie_gateway.core.limits import TokenBucket
from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.websocket.closing import Flow
from memmie_gateway.core.websocket.frames import FrameScanner
from memmie_gateway.core.websocket.keepalive import Keepalive

try:
    from fcntl import ioctl
    from struct import unpack
    from termios import TIOCOUTQ
except ImportError:  # the system cannot tell; keepalive and closing then see only what waits in this process

    def _unacknowledged(transport: asyncio.Transport) -> int:
        del transport
        return 0

else:

    def _unacknowledged(transport: asyncio.Transport) -> int:
        """Return how many bytes the kernel holds that the peer has not acknowledged; 0 where it cannot tell."""
        sock = transport.get_extra_info("socket")
        if sock is None:
            return 0
        try:
            answer = ioctl(sock.fileno(), TIOCOUTQ, b"\0\0\0\0")
        except OSError:  # macOS has no such request for sockets
            return 0
        except ValueError:  # the socket is closed already
            return 0
        return int(unpack("i", answer)[0])


SAMPLE_EVERY: Final = 64
"""The gateway's own latency is measured for the first chunk of each direction of a connection, then for one in 64."""

Hold = Literal[1, 2]
"""A reason for not reading from a side; bits, as several may hold at once."""

PEER_FULL: Final = 1
"""The other side does not take what is written to it."""

TOO_FAST: Final = 2
"""The client sends more messages than it may."""


class LegOwner(Protocol):
    """A session, as far as its legs have to know it."""

    @property
    def rate_max_delay(self) -> float:
        """Seconds a sender may be held back for its message rate before it is closed."""

    def other(self, leg: Leg) -> Leg:
        """Return the opposite leg."""

    def stream_ended(self, leg: Leg) -> None:
        """Nothing more of what `leg` receives is forwarded."""

    def lost(self, leg: Leg, exc: Exception | None) -> None:
        """The TCP connection of `leg` is gone."""

    def measured(self, leg: Leg, since: float, again: float) -> None:
        """What `leg` received at `since` should have left by now."""

    def end(self, cause: Cause) -> None:
        """End the session."""


class Leg(asyncio.Protocol):
    """One leg of a session: receives what its side sends, and forwards it to the other side.

    Args:
        side: the side that this leg leads to.
        transport: the connection.
        scanner: of the stream that this side sends.
        keepalive: watches this side.

    Attributes:
        owner: the session, from the first `join` to `leave`.
        write: the other side's sink; drops everything while the leg is not joined.
    """

    __slots__ = (
        "_holds",
        "_sample_in",
        "keepalive",
        "owner",
        "scanner",
        "side",
        "transport",
        "write",
    )

    def __init__(
        self, side: Side, transport: asyncio.Transport, scanner: FrameScanner, keepalive: Keepalive
    ) -> None:
        self.owner: LegOwner
        self.side = side
        self.transport = transport
        self.scanner = scanner
        self.keepalive = keepalive
        self.write: Callable[[bytes], object] = discard
        self._holds = 0
        self._sample_in = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.side.value} {self.scanner!r}>"

    # The data path.

    def data_received(self, data: bytes) -> None:
        """Forward bytes to the other side."""
        if not self._sample_in:
            self._sample()
        self._sample_in -= 1
        scanner = self.scanner
        onward = scanner.scan(data)
        if onward:
            write = self.write  # a slot that is called as a method is looked up the slow way (CPython 3.11)
            write(onward)
        if scanner.ended:
            self.owner.stream_ended(self)

    def _sample(self) -> None:
        """Measure how long this chunk stays in the gateway.

        The transport hands what is written during one turn of the loop to the socket at the end of that turn,
        before it runs what was called soon.
        """
        self._sample_in = SAMPLE_EVERY
        asyncio.get_running_loop().call_soon(self.owner.measured, self, time.perf_counter(), 0.0005)

    # Called by the session.

    def join(self, sink: Callable[[bytes], object], owner: LegOwner) -> None:
        """Forward what is received to `sink`, and report to `owner`."""
        self.write = sink
        self.owner = owner

    def detach(self) -> None:
        """Forward nothing more, until it is joined again."""
        self.write = discard

    def leave(self) -> None:
        """Drop the reference to the session, which refers to this leg, too, once both connections are gone."""
        del self.owner

    def hang_up(self) -> None:
        """Send nothing more to this side, but let it read what was sent."""
        if not self.transport.is_closing() and self.transport.can_write_eof():
            self.transport.write_eof()

    # Back-pressure.

    def pause_writing(self) -> None:
        """This side does not take what is written to it: read no more from the other."""
        self.owner.other(self).hold(PEER_FULL)

    def resume_writing(self) -> None:
        """This side takes bytes again."""
        self.owner.other(self).release(PEER_FULL)

    def hold(self, why: Hold) -> None:
        """Read nothing more from this side until every reason for that is released."""
        if not self._holds and not self.transport.is_closing():
            self.transport.pause_reading()
        self._holds |= why

    def release(self, why: Hold) -> None:
        """Take back one reason for not reading."""
        if not self._holds & why:
            return
        self._holds &= ~why
        if not self._holds and not self.transport.is_closing():
            self.transport.resume_reading()

    # Facts for the session.

    @property
    def held(self) -> bool:
        """Whether the gateway is not reading from this side at present."""
        return bool(self._holds)

    @property
    def flow(self) -> Flow:
        """Where the stream from this side to the other stands."""
        if not self.scanner.remaining:
            return Flow.BETWEEN
        return Flow.BROKEN if self.transport.is_closing() else Flow.INSIDE

    def backlog(self) -> int:
        """Return the bytes written to this side that its end of the connection has not acknowledged."""
        return self.transport.get_write_buffer_size() + _unacknowledged(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection of this side is gone."""
        self.owner.lost(self, exc)


class ClientLeg(Leg):
    """The client's leg, which also pays for its messages where their rate is limited."""

    __slots__ = ("_bucket", "_paid")

    def __init__(
        self,
        transport: asyncio.Transport,
        scanner: FrameScanner,
        keepalive: Keepalive,
        bucket: TokenBucket | None,
    ) -> None:
        super().__init__(Side.CLIENT, transport, scanner, keepalive)
        self._bucket = bucket
        self._paid = 0

    def data_received(self, data: bytes) -> None:
        """Forward bytes to the backend, and pay a token for every frame: a fragment or a ping is work, too."""
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
            self.owner.stream_ended(self)

    def _slow_down(self, bucket: TokenBucket) -> None:
        loop = asyncio.get_running_loop()
        delay = bucket.settle(loop.time())
        if delay > self.owner.rate_max_delay:
            self.owner.end(Cause.MESSAGE_RATE)
        elif delay:
            self.hold(TOO_FAST)
            loop.call_later(delay, self.release, TOO_FAST)


def discard(_: bytes) -> None:
    """Stand in for the other side's `write` while nothing may be written to it."""
