"""A session: one client joined to one Studio, from the upgrade to the end of both connections.

The bytes go by in `splice`. What is here happens on a timer (pings, idleness) or once (the closing handshake).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from memmie_gateway.core.identity import Identity
from memmie_gateway.core.limits import Client, TokenBucket
from memmie_gateway.core.outcomes import Cause, Side, cause_of_violation
from memmie_gateway.core.websocket import control_frames
from memmie_gateway.core.websocket.closing import ClosingHandshake, Say, Step
from memmie_gateway.core.websocket.frames import FrameScanner
from memmie_gateway.core.websocket.keepalive import Advice, Keepalive
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.sessions.leg import PEER_FULL, ClientLeg, Leg, discard


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How sessions behave.

    Attributes:
        max_message_bytes: the largest message, over all its fragments.
        write_buffer_bytes: how much may wait for a side that does not keep up before the other is paused.
        idle_seconds: how long a session may be without data either way; 0 for ever.
        ping_interval: seconds of silence after which a side is pinged; 0 for never.
        ping_timeout: seconds within which it must then show a sign of life.
        close_timeout: seconds for a closing handshake.
        rate_max_delay: seconds a sender may be held back for its message rate; one that would have to be held
            back longer is closed with 1008.
    """

    max_message_bytes: int
    write_buffer_bytes: int
    idle_seconds: float
    ping_interval: float
    ping_timeout: float
    close_timeout: float
    rate_max_delay: float

    @property
    def tick(self) -> float:
        """Seconds between two looks at a session: often enough for the shortest of its time-outs."""
        spans = [s for s in (self.idle_seconds, self.ping_interval, self.ping_timeout) if s]
        return min(spans) / 2 if self.idle_seconds or self.ping_interval else 0.0


class ConnectionInfo(NamedTuple):
    """Whose connection it is, and where it goes.

    Attributes:
        id: the request id, the same in the log, in Studio and in the answer to the client.
        path: the route the client asked for.
        client: the client's address.
        identity: the user.
        backend: the Studio it is joined to.
    """

    id: str
    path: str
    client: Client
    identity: Identity
    backend: Backend


class Session:
    """One client joined to one Studio, from the upgrade to the end of both connections.

    Args:
        info: whose it is.
        client: the client's transport.
        backend: Studio's transport.
        options: how it behaves.
        reserved_bits: the RSV bits that the negotiated extensions may use.
        bucket: pays for the client's messages; None where their rate is not limited.
        rng: makes masking keys and ping payloads.
        on_client_gone: called once, when the client's connection is gone, whatever Studio does about its own.
        on_end: called once, when both connections are gone.

    Attributes:
        started: seconds, of the loop's clock.
        error: what the operating system said of a connection that broke.
    """

    __slots__ = (
        "__weakref__",
        "_backend",
        "_client",
        "_closing",
        "_deferred",
        "_idle_bytes",
        "_idle_since",
        "_loop",
        "_on_client_gone",
        "_on_end",
        "_rng",
        "_timer",
        "error",
        "info",
        "options",
        "started",
    )

    def __init__(
        self,
        info: ConnectionInfo,
        client: asyncio.Transport,
        backend: asyncio.Transport,
        *,
        options: SessionOptions,
        reserved_bits: int,
        bucket: TokenBucket | None,
        rng: random.Random,
        on_client_gone: Callable[[], None],
        on_end: Callable[[Session], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._rng = rng
        self._on_client_gone = on_client_gone
        self._on_end = on_end
        self._closing: ClosingHandshake | None = None
        self._deferred: tuple[Say, ...] = ()
        self.info = info
        self.options = options
        self.error = ""
        self.started = self._idle_since = now = self._loop.time()
        self._idle_bytes = 0

        def scanner(*, masked: bool) -> FrameScanner:
            return FrameScanner(
                masked=masked, max_message_bytes=options.max_message_bytes, reserved_bits=reserved_bits
            )

        self._client = ClientLeg(self, client, scanner(masked=True), bucket)
        self._backend = Leg(self, Side.BACKEND, backend, scanner(masked=False))
        self._client.write, self._backend.write = backend.write, client.write
        for protocol in (self._client, self._backend):
            protocol.keepalive = Keepalive(
                interval=options.ping_interval, timeout=options.ping_timeout, now=now
            )
            protocol.transport.set_write_buffer_limits(options.write_buffer_bytes)
            protocol.transport.set_protocol(protocol)
        tick = options.tick
        self._timer = self._loop.call_later(tick, self._tick) if tick else None

    def __repr__(self) -> str:
        return f"<Session {self.info.id} {self._closing or 'open'}>"

    def start(self, from_client: bytes, from_backend: bytes) -> None:
        """Forward what either side has sent already."""
        for protocol in (self._client, self._backend):
            protocol.transport.resume_reading()  # paused, where one has sent much while the other was asked
        if from_backend:
            self._backend.data_received(from_backend)
        if from_client:
            self._client.data_received(from_client)

    # What a session is asked about.

    @property
    def rate_max_delay(self) -> float:
        """Seconds the client may be held back for its message rate before it is closed."""
        return self.options.rate_max_delay

    @property
    def closing(self) -> ClosingHandshake | None:
        """The closing handshake, once there is one."""
        return self._closing

    def scanner(self, side: Side) -> FrameScanner:
        """Return the scanner of what `side` sends: its counters."""
        return self._side(side).scanner

    def other(self, protocol: Leg) -> Leg:
        """Return the opposite side."""
        return self._backend if protocol is self._client else self._client

    def _side(self, side: Side) -> Leg:
        return self._client if side is Side.CLIENT else self._backend

    # What happens to it.

    def end(self, cause: Cause, reason: str = "") -> None:
        """End the session: tell both sides, and wait for their answers up to the close time-out."""
        self._do(self._begin_closing().end(cause, reason or cause.ending.words))

    def stream_ended(self, protocol: Leg) -> None:
        """Nothing more of what `protocol` sends is forwarded: it sent a Close frame, broke the rules, or was cut off."""
        scanner = protocol.scanner
        if self._deferred and not scanner.remaining:
            due = [step for step in self._deferred if step.side is protocol.side.other]
            self._deferred = tuple(step for step in self._deferred if step not in due)
            for step in due:
                self._say(step)
        if scanner.close is not None:
            close, scanner.close = scanner.close, None
            steps = self._begin_closing().received(protocol.side, close.code, close.reason)
            self._do(steps, forward=close.raw)
        elif scanner.violation is not None:
            violation, scanner.violation = scanner.violation, None
            cause, words = cause_of_violation(protocol.side, violation)
            self.end(cause, words)
            self._hang_up(protocol)

    def lost(self, protocol: Leg, exc: Exception | None) -> None:
        """One of the two TCP connections is gone."""
        if exc is not None and self._closing is None:
            self.error = str(exc) or type(exc).__name__
        if protocol is self._client:
            self._on_client_gone()
            self._on_client_gone = _nothing
        other = self.other(protocol)
        other.write = discard
        if self._deferred and any(step.side is other.side for step in self._deferred):
            # What it waits for will never come.
            other.transport.abort()
        closing = self._begin_closing()
        self._do(closing.lost(protocol.side))
        other.release(PEER_FULL)
        if closing.finished:
            if self._timer is not None:
                self._timer.cancel()
            on_end, self._on_end = self._on_end, _nothing
            on_end(self)
            # What refers to itself in a circle is only found by the garbage collector, which all others pay for.
            self._client.leave()
            self._backend.leave()

    def measured(self, protocol: Leg, since: float, again: float) -> None:
        """Count the time since `since`, when everything was given to the other side's socket; else look `again`."""
        if not self.other(protocol).transport.get_write_buffer_size():
            self.info.backend.latency.add(time.perf_counter() - since)
        elif self._closing is None:
            self._loop.call_later(again, self.measured, protocol, since, again * 2)

    def _tick(self) -> None:
        """Look after the silent and the idle."""
        self._timer = self._loop.call_later(self.options.tick, self._tick)
        now = self._loop.time()
        for protocol in (self._client, self._backend):
            advice = self._look(protocol, now)
            if advice is Advice.GIVE_UP:
                silent = Cause.CLIENT_SILENT if protocol.side is Side.CLIENT else Cause.BACKEND_SILENT
                self.end(silent)
                self._hang_up(protocol)
                return
            if advice is Advice.PING:
                self._ping(protocol)
        up, down = self._client.scanner, self._backend.scanner
        data_bytes = up.received + down.received - up.control_bytes - down.control_bytes
        if data_bytes != self._idle_bytes:
            self._idle_bytes, self._idle_since = data_bytes, now
        elif self.options.idle_seconds and now - self._idle_since >= self.options.idle_seconds:
            self.end(Cause.IDLE)

    def _look(self, protocol: Leg, now: float) -> Advice:
        source = self.other(protocol).scanner
        backlog = protocol.backlog()
        return protocol.keepalive.look(
            now,
            heard=protocol.scanner.received,
            taken=source.received - source.cut_bytes - backlog,
            backlog=backlog > 0,
            deaf=protocol.held,
            may_ping=not source.remaining,
        )

    def _ping(self, protocol: Leg) -> None:
        payload = self._rng.randbytes(8)
        protocol.scanner.expected_pong = payload
        protocol.transport.write(
            control_frames.control_frame(control_frames.PING, payload, key=self._key(protocol.side))
        )

    def _key(self, side: Side) -> bytes | None:
        """Return a masking key for a frame to `side`, where it needs one."""
        return self._rng.randbytes(4) if side is Side.BACKEND else None

    # The end.

    def _begin_closing(self) -> ClosingHandshake:
        if self._closing is None:
            self._closing = ClosingHandshake()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(self.options.close_timeout, self._expire)
        return self._closing

    def _do(self, steps: list[Step], forward: bytes = b"") -> None:
        for step in steps:
            if isinstance(step, Say):
                self._say(step, forward if step.forward else b"")
            else:
                self._side(step.side).transport.close()

    def _say(self, step: Say, frame: bytes = b"") -> None:
        """Write a Close frame, when what was written before it is complete."""
        protocol = self._side(step.side)
        source = self.other(protocol)
        if source.scanner.remaining and source.transport.is_closing():
            # What is begun will never be finished, and nothing honest can be said inside a frame.
            protocol.transport.abort()
            return
        if source.scanner.remaining:
            source.scanner.finish()
            self._deferred += (step,)
            return
        source.write = discard
        payload = control_frames.close_payload(step.code, step.reason)
        protocol.transport.write(
            frame or control_frames.control_frame(control_frames.CLOSE, payload, key=self._key(step.side))
        )

    def _hang_up(self, protocol: Leg) -> None:
        """Send nothing more to a side whose answer will not be understood, but let it read what was sent.

        Closing at once would reset the connection while it still sends, and take the Close frame with it.
        """
        transport = protocol.transport
        waiting = any(step.side is protocol.side for step in self._deferred)
        if not (waiting or transport.is_closing()) and transport.can_write_eof():
            transport.write_eof()

    def _expire(self, backlog: int = 0) -> None:
        """The closing handshake took too long: unless a slow reader is still working its queue off, end it."""
        closing = self._begin_closing()
        waiting = max(self._client.backlog(), self._backend.backlog())
        if waiting and (not backlog or waiting < backlog):
            self._timer = self._loop.call_later(self.options.close_timeout, self._expire, waiting)
            return
        self._do(closing.expire())
        for step in self._deferred:
            # It waits for the end of a frame that does not come.
            self._side(step.side).transport.abort()
        self._timer = self._loop.call_later(1.0, self.abort)

    def abort(self) -> None:
        """Drop both connections at once, with whatever was to be sent on them."""
        self._client.transport.abort()
        self._backend.transport.abort()


def _nothing(*_: Session) -> None:
    """Stand in for `on_client_gone` and `on_end` once they were called."""
