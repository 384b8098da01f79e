"""A session: one client joined to a backend, from the upgrade to the end of both connections.

The bytes pass through the two legs (`leg`). The code here runs on a timer (pings, idle time-out) or once (the closing
handshake). It carries out the decisions of `core.websocket`.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from memmie_gateway.core.limits import HeldSlots, TokenBucket
from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.websocket import control_frames
from memmie_gateway.core.websocket.closing import ClosingHandshake, Flows
from memmie_gateway.core.websocket.closing_steps import Finish, HangUp, Say, Shut, Step
from memmie_gateway.core.websocket.continuity import on_leg_lost
from memmie_gateway.core.websocket.frames import FrameScanner
from memmie_gateway.core.websocket.keepalive import Advice, Idleness, Keepalive
from memmie_gateway.core.websocket.violations import cause_of_violation
from memmie_gateway.net.backends.backend import NO_TRAFFIC, BackendLink, Traffic
from memmie_gateway.net.handover import Held
from memmie_gateway.net.sessions import liveness
from memmie_gateway.net.sessions.client_leg import ClientLeg
from memmie_gateway.net.sessions.last_frame import LastFrame
from memmie_gateway.net.sessions.leg import PEER_FULL, Leg
from memmie_gateway.net.sessions.options import SessionInfo, SessionOptions, Shared

_CLIENT, _BACKEND = Side  # looking up a member of an Enum is a function call (CPython 3.11)

_NOTHING_EARLY: Final = (b"", b"")


class Session:
    """One client joined to a backend, from the upgrade to the end of both connections.

    Args:
        info: the data that identify it.
        client: the client's connection.
        link: the connection to the backend.
        options: limits and time-outs.
        bucket: the token bucket for the client's message rate; None for no limit.
        slots: released when the client's connection has ended, even if the backend's connection is still open.
        shared: what all sessions share.

    Attributes:
        info: as given.
        options: as given.
        slots: as given.
        backend: the backend to which the session is attached now.
        closing: the closing handshake; None before it begins.
        started: the loop's time at the start, in seconds.
        error: the error message of the operating system if a connection broke, otherwise "".
    """

    __slots__ = (
        "__weakref__",
        "_backend",
        "_booked",
        "_client",
        "_early",
        "_idleness",
        "_loop",
        "_reserved_bits",
        "_shared",
        "_timer",
        "backend",
        "closing",
        "error",
        "info",
        "options",
        "slots",
        "started",
    )

    def __init__(
        self,
        info: SessionInfo,
        client: Held,
        link: BackendLink,
        *,
        options: SessionOptions,
        bucket: TokenBucket | None,
        slots: HeldSlots,
        shared: Shared[Session],
    ) -> None:
        self._shared = shared
        self._loop = shared.clock.loop()
        self.closing: ClosingHandshake | None = None
        self._booked = NO_TRAFFIC
        self._reserved_bits = link.accepted.reserved_bits  # negotiated with the client for the whole session
        self.info = info
        self.slots = slots
        self.options = options
        self.error = ""
        self.started = self._loop.time()
        now = shared.clock.time()
        self._idleness = Idleness(seconds=options.idle_seconds, now=now)
        self._client = ClientLeg(
            client.transport, self._scanner(_CLIENT), Keepalive(options.keepalive, now), bucket
        )
        client.transport.set_write_buffer_limits(options.write_buffer_bytes)
        self._early = (client.take(self._client), b"")
        self._backend: Leg
        self._attach(link, now)
        self._timer: asyncio.TimerHandle | None = None  # after the time-out of the closing handshake
        shared.looks.schedule(self, self.started + options.first_look)

    def __repr__(self) -> str:
        return f"<Session {self.info.id} {self.closing or 'open'}>"

    # The backend.

    def attach(self, link: BackendLink) -> None:
        """Attach the session to a backend, which gets all traffic from now on; `start` starts forwarding."""
        self._attach(link, self._shared.clock.time())

    def _attach(self, link: BackendLink, now: float) -> None:
        transport = link.connection.transport
        scanner = self._scanner(_BACKEND)
        if self._booked is not NO_TRAFFIC:
            scanner.count_on(self._backend.scanner)
        leg = self._backend = Leg(_BACKEND, transport, scanner, Keepalive(self.options.keepalive, now))
        transport.set_write_buffer_limits(self.options.write_buffer_bytes)
        self._early = (self._early[0], link.connection.take(leg))
        self.backend = link.backend
        self.backend.joined()
        leg.join(self._client.transport.write, self)
        self._client.join(transport.write, self)

    def start(self) -> None:
        """Start forwarding, with the early bytes first."""
        (from_client, from_backend), self._early = self._early, _NOTHING_EARLY
        self._backend.start(from_backend)
        self._client.start(from_client)

    def _detach(self) -> None:
        """Add the traffic since `attach` to the backend, after the legs have stopped forwarding."""
        total = self._total()
        self.backend.left(self._since_attached(total))
        self._booked = total

    def _scanner(self, side: Side) -> FrameScanner:
        return FrameScanner(
            masked=side is _CLIENT,
            max_message_bytes=self.options.max_message_bytes,
            reserved_bits=self._reserved_bits,
        )

    # Facts for other modules.

    def traffic(self) -> Traffic:
        """Return the traffic since `attach`, except traffic that was already added to the backend."""
        return self._since_attached(self._total())

    def _since_attached(self, total: Traffic) -> Traffic:
        return total if self._booked is NO_TRAFFIC else total.minus(self._booked)

    def _total(self) -> Traffic:
        up, down = self._client.scanner, self._backend.scanner
        return Traffic(up.messages, down.messages, up.received, down.received)

    @property
    def between_messages(self) -> bool:
        """Whether both streams are between two messages, so that an end interrupts none."""
        return self._client.scanner.between_messages and self._backend.scanner.between_messages

    def describe(self) -> dict[str, object]:
        """Return the data of this session for people: the fields of its log line.

        `code` is the close code of the first Close frame between gateway and client, in either direction. It is None if
        there was none, or if it had no code. While the session is live, all fields about its end are None.
        """
        info, closing = self.info, self.closing
        up, down = self._client.scanner, self._backend.scanner
        cause = closing.cause if closing is not None else None
        fields: dict[str, object] = {
            "request_id": info.id,
            "user_id": info.identity.user_id,
            "address": info.client.address,
            "path": info.path,
            "protocol": info.protocol,
            "backend": self.backend.name,
            "by": cause.by if cause is not None else None,
            "cause": cause.ending.code if cause is not None else None,
            "code": closing.client_code if closing is not None else None,
            "reason": (closing.reason or None) if closing is not None else None,
            "error": self.error or None,
            "seconds": round((self._loop.time() - self.started) * 1000) / 1000,  # cheaper than three digits
            "messages_from_client": up.messages,
            "messages_from_studio": down.messages,
            "bytes_from_client": up.received,
        }
        fields["bytes_from_studio"] = down.received  # a dict of more than 15 keys would be built key by key
        return fields

    def other(self, leg: Leg) -> Leg:
        """Return the opposite leg."""
        return self._backend if leg is self._client else self._client

    def _leg(self, side: Side) -> Leg:
        return self._client if side is _CLIENT else self._backend

    # Events.

    def end(self, cause: Cause, reason: str = "") -> None:
        """End the session: send Close frames (see `ClosingHandshake.end`), and wait for answers until the close time-out."""
        self._carry_out(self._begin_closing().end(cause, reason or cause.ending.words, self._flows()))

    def stream_ended(self, leg: Leg) -> None:
        """The stream from `leg` has ended with a Close frame or with a violation."""
        closing = self.closing or self._begin_closing()
        if (close := leg.scanner.take_close()) is not None:
            self._carry_out(closing.received(leg.side, close.code, close.reason), close.raw)
        elif (violation := leg.scanner.take_violation()) is not None:
            cause, words = cause_of_violation(leg.side, violation)
            self._carry_out(closing.give_up(leg.side, cause, words, self._flows()))

    def _frame_ended(self, leg: Leg) -> None:
        """The last frame from `leg` that is forwarded is complete."""
        self._carry_out(self._begin_closing().frame_ended(leg.side))

    def owes_close(self, leg: Leg) -> bool:
        """Whether the side of `leg` has sent a Close frame and has none yet; it gets one when the time is over at the latest."""
        return self.closing is not None and self.closing.owes_close(leg.side)

    def lost(self, leg: Leg, exc: Exception | None) -> None:
        """One of the two TCP connections has ended."""
        if exc is not None and self.closing is None:
            self.error = str(exc) or type(exc).__name__
        client, backend = self._client, self._backend
        other = backend
        if leg is not client:
            other = client
        else:
            self.slots.release()
        other.detach()
        closing = self.closing or self._begin_closing()
        inside_frame = bool(leg.scanner.remaining)
        if steps := closing.lost(leg.side, on_leg_lost(leg.side), inside_frame=inside_frame):
            self._carry_out(steps)
        other.release(PEER_FULL)
        if closing.finished:
            self._shared.closings.stop(self)
            if self._timer is not None:
                self._timer.cancel()
            self._detach()
            self._shared.on_end(self)
            # Only the garbage collector frees reference cycles, and its pauses would delay all other sessions.
            client.leave()
            backend.leave()

    def measure(self, leg: Leg) -> None:
        """Measure how long the chunk that `leg` receives now stays in the gateway."""
        # The transport writes to the socket at the end of this turn of the loop, before callbacks of `call_soon` run.
        self._loop.call_soon(self._measured, leg, time.perf_counter(), 0.0005)

    def _measured(self, leg: Leg, since: float, again: float) -> None:
        """Add the latency since `since` if all data was written to the other side's socket; otherwise check `again` later."""
        if not self.other(leg).transport.get_write_buffer_size():
            self.backend.latency.add(time.perf_counter() - since)
        elif self.closing is None:
            self._loop.call_later(again, self._measured, leg, since, again * 2)

    # Keepalive.

    def look(self) -> None:
        """Ping a side that is due, report one that is dead, and end the session if it is idle."""
        now = self._shared.clock.time()
        for leg in (self._client, self._backend):
            advice = self._look_at(leg, now)
            if advice is Advice.SILENT or advice is Advice.STUCK:
                self._shared.on_dead(self, leg.side, advice)
            elif leg is self._client:
                self.slots.resume()  # it seemed to be dead, but is not
        if self.closing is not None:
            return
        up, down = self._client.scanner, self._backend.scanner
        received, control = up.received + down.received, up.control_bytes + down.control_bytes
        if self._idleness.exceeded(now, received=received, control=control):
            self.end(Cause.IDLE)
        else:
            self._look_again(now)

    def _look_at(self, leg: Leg, now: float) -> Advice:
        if self.closing is not None:
            return Advice.NOTHING
        return liveness.look(leg, self.other(leg), now, self._shared.rng)

    def _look_again(self, now: float) -> None:
        sides = self._client.keepalive, self._backend.keepalive, self._idleness
        self._shared.looks.schedule(self, self._loop.time() + min(side.next_look(now) for side in sides))

    def ping_backend(self) -> bool:
        """Ping the backend now, unless it already owes an answer.

        Returns:
            Whether the backend now has to answer a ping, or to take what waits for it.
        """
        if self.closing is not None:
            return False
        now = self._shared.clock.time()
        has_to = liveness.ping(self._backend, self._client, now, self._shared.rng)
        self._look_again(now)
        return has_to

    def is_dead(self, side: Side) -> bool:
        """Tell whether a side is dead at this moment."""
        return self._look_at(self._leg(side), self._shared.clock.time()) in (Advice.SILENT, Advice.STUCK)

    def unanswered(self) -> float:
        """Return the seconds for which the client has not answered a ping; 0 if it cannot be blamed for it."""
        client, backend = self._client, self._backend
        self.look()
        if (
            self.closing is not None
            or client.held
            or liveness.inside_frame(client)
            or backend.scanner.remaining
        ):
            return 0.0
        return client.keepalive.unanswered(self._shared.clock.time())

    # The end.

    def drop(self, side: Side, cause: Cause) -> None:
        """End the session because a side is dead: abort this side without a Close frame, and tell the other one at once."""
        leg = self._leg(side)
        if side is _CLIENT:
            self.slots.release()
            if self._client.abort_if_bytes_wait():
                return
        self.other(leg).detach()
        closing = self._begin_closing()
        self._carry_out(closing.drop(side, cause, inside_frame=bool(leg.scanner.remaining)))

    def _begin_closing(self) -> ClosingHandshake:
        if self.closing is None:
            self.closing = ClosingHandshake()
            self._shared.looks.cancel(self)
            self._shared.closings.start(self)
            self._client.lift_quota()
        return self.closing

    def _flows(self) -> Flows:
        return {_CLIENT: self._backend.flow, _BACKEND: self._client.flow}

    def _carry_out(self, steps: list[Step], received: bytes = b"") -> None:
        """Carry out the steps of the closing handshake; `received` is the Close frame that may be forwarded."""
        for step in steps:
            side = step.side
            leg = self._client if side is _CLIENT else self._backend
            if isinstance(step, Say):
                self._say(leg, step, received)
            elif isinstance(step, Shut):
                leg.transport.close()
            elif isinstance(step, Finish):
                LastFrame(leg, self._frame_ended)
            elif isinstance(step, HangUp):
                leg.hang_up()
            else:
                leg.transport.abort()

    def _say(self, leg: Leg, step: Say, received: bytes) -> None:
        self.other(leg).detach()  # nothing may follow a Close frame
        frame = received
        if not step.forward:
            payload = control_frames.close_payload(step.code, step.reason)
            key = liveness.key(step.side, self._shared.rng)
            frame = control_frames.control_frame(control_frames.CLOSE, payload, key=key)
        if not leg.transport.is_closing():  # it may be lost while bytes from it still wait
            leg.transport.write(frame)

    def expire(self) -> None:
        """End a closing handshake that takes too long, unless a slow reader still makes progress."""
        closing = self._begin_closing()
        if closing.progresses(max(self._client.backlog(), self._backend.backlog())):
            self._shared.closings.start(self)
            return
        self._carry_out(closing.expire(self._flows()))
        self._timer = self._loop.call_later(1.0, self.abort)

    def abort(self) -> None:
        """Abort both connections immediately, and discard all buffered data."""
        self._client.transport.abort()
        self._backend.transport.abort()
