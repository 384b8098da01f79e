"""The legs of a session, which forward bytes unchanged between its two connections (see `core.websocket.frames`).

This is the data path. Each chunk of bytes costs one scan of its frame headers, one write to the other side and a few
operations on integers. Everything else happens on a timer or at the end, in `session`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Literal, Protocol

from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.websocket.closing import Flow
from memmie_gateway.core.websocket.frames import FrameScanner
from memmie_gateway.core.websocket.keepalive import Keepalive
from memmie_gateway.net.handover import finish_writing
from memmie_gateway.net.sessions.kernel import unacknowledged
from memmie_gateway.net.sessions.options import SessionOptions

SAMPLE_EVERY: Final = 64
"""Latency is measured for the first chunk of each direction of a connection, and then for every 64th."""

Hold = Literal[1, 2]
"""A reason for not reading from a side; a bit, because there may be several reasons at once."""

PEER_FULL: Final = 1
"""The write buffer of the other side is full."""

TOO_FAST: Final = 2
"""The client exceeds its message rate (see `held`)."""


class LegOwner(Protocol):
    """The interface of a session for its legs."""

    @property
    def options(self) -> SessionOptions:
        """The limits and time-outs."""

    def other(self, leg: Leg) -> Leg:
        """Return the opposite leg."""

    def stream_ended(self, leg: Leg) -> None:
        """The stream from `leg` has ended with a Close frame or a violation; nothing more is forwarded from it."""

    def owes_close(self, leg: Leg) -> bool:
        """Whether the side of `leg` has sent a Close frame and has none yet."""

    def lost(self, leg: Leg, exc: Exception | None) -> None:
        """The TCP connection of `leg` has ended."""

    def measure(self, leg: Leg) -> None:
        """Measure how long the chunk that `leg` receives now stays in the gateway."""

    def end(self, cause: Cause, reason: str = "") -> None:
        """End the session."""


class Leg(asyncio.Protocol):
    """One leg of a session: receives from its side, and forwards to the other side.

    Args:
        side: the side of this leg.
        transport: the connection.
        scanner: the scanner of the stream from this side.
        keepalive: detects when this side is silent.

    Attributes:
        own_bytes: number of bytes in frames of the gateway's own that were written to this side.
        owner: the session, from the first `join` until `leave`.
        write: writes to the other side; discards everything while the leg is not joined.
    """

    __slots__ = (
        "_holds",
        "_sample_in",
        "keepalive",
        "own_bytes",
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
        self.own_bytes = 0
        self._holds = 0
        self._sample_in = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.side.value} {self.scanner!r}>"

    # The data path.

    def data_received(self, data: bytes) -> None:
        """Forward bytes to the other side."""
        if not self._sample_in:
            self._sample_in = SAMPLE_EVERY
            self.owner.measure(self)
        self._sample_in -= 1
        scanner = self.scanner
        onward = scanner.scan(data)
        if onward:
            write = self.write  # a slot that is called as a method is looked up the slow way (CPython 3.11)
            write(onward)
        if scanner.ended:
            self.owner.stream_ended(self)

    # Called by the session.

    def join(self, sink: Callable[[bytes], object], owner: LegOwner) -> None:
        """Forward received bytes to `sink`, and report events to `owner`."""
        self.write = sink
        self.owner = owner

    def start(self, early: bytes) -> None:
        """Start reading from this side; `early` are the bytes that were received before."""
        if not self._holds:
            self.transport.resume_reading()  # it is paused if there were many early bytes
        if early:
            self.data_received(early)

    def detach(self) -> None:
        """Stop forwarding until the leg is joined again."""
        self.write = discard

    def leave(self) -> None:
        """Break the reference cycle with the session, after both connections have ended."""
        del self.owner

    def hang_up(self) -> None:
        """Send nothing more to this side, but let it read what was already sent."""
        if not self.transport.is_closing():
            finish_writing(self.transport)

    # Back-pressure.

    def pause_writing(self) -> None:
        """The write buffer of this side is full: stop reading from the other side."""
        self.owner.other(self).hold(PEER_FULL)

    def resume_writing(self) -> None:
        """The write buffer of this side has room again: remove this reason for not reading."""
        self.owner.other(self).release(PEER_FULL)

    def hold(self, why: Hold) -> None:
        """Stop reading from this side until every reason is released."""
        if not self._holds and not self.transport.is_closing():
            self.transport.pause_reading()
        self._holds |= why

    def release(self, why: Hold) -> None:
        """Remove one reason for not reading; without any, resume."""
        if not self._holds & why:
            return
        self._holds &= ~why
        if not self._holds and not self.transport.is_closing():
            self.transport.resume_reading()

    # Facts for the session.

    @property
    def held(self) -> bool:
        """Whether reading from this side is paused."""
        return bool(self._holds)

    @property
    def flow(self) -> Flow:
        """The position of the stream from this side to the other."""
        if not self.scanner.remaining:
            return Flow.BETWEEN
        return Flow.BROKEN if self.transport.is_closing() else Flow.INSIDE

    def backlog(self) -> int:
        """Return the number of bytes written to this side that its TCP has not acknowledged."""
        return self.transport.get_write_buffer_size() + unacknowledged(self.transport)

    # Called by the loop.

    def eof_received(self) -> bool:
        """This side sends nothing any more; return whether it still gets the answer to its Close frame (RFC 6455 §5.5.1)."""
        return self.transport.can_write_eof() and self.owner.owes_close(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection of this side has ended."""
        self.owner.lost(self, exc)


def discard(_: bytes) -> None:
    """Discard bytes; the `write` of a leg that is not joined."""
