"""A connection of a client that polls a Studio which speaks Socket.IO itself; it is a live connection, as a session is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from memmie_gateway.core.limits import HeldSlots, TokenBucket
from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.socketio.handshake import Problem
from memmie_gateway.core.socketio.owner_origin import OwnerOrigin
from memmie_gateway.core.socketio.passing import Opened
from memmie_gateway.net.backends.backend import Backend, Traffic
from memmie_gateway.net.ingress.listener import Elsewhere
from memmie_gateway.net.sessions.options import SessionInfo
from memmie_gateway.net.socketio.answers import EngineError

PACE_SECONDS: Final = 0.02
"""Minimum time between two GETs, and between two POSTs, of one connection; a faster client waits."""

CLOSED: Final = (Cause.CLIENT_CLOSED, Cause.BACKEND_CLOSED)
"""The causes of an end with which one side has closed the connection."""


class Request(Protocol):
    """A request of a connection that is under way.

    Attributes:
        status: the status of its answer, 0 before it.
    """

    status: int

    def cut(self, cause: Cause) -> None:
        """End it because of this cause."""


class PassedSession:
    """A connection of a client that polls (see `sessions.live.Live`).

    Args:
        info: the data that identify it.
        token: the token that it was opened with.
        backend: the backend that has opened it.
        opened: what the backend has said about it.
        origin: the origin that its requests must have.
        slots: its places under the limits.
        bucket: the token bucket for the client's message rate; None for no limit.
        max_delay: maximum time in seconds for which packets may wait for it.
        elsewhere: counts the TCP connections of the client, until they count as part of this one.
        started: the loop's time at the start of the request that opened it, in seconds.
        now: the time in seconds.
        on_end: called once at its end.

    Attributes: as given, and
        closing: the cause of its end; None before it.
        error: more about the end for the log, "" for nothing.
        sid: its id, which is a secret.
        silence: maximum time in seconds without a GET.
        heard: the time at which the backend last answered one of its requests.
        rested: the time at which its last GET ended.
        under_way: its requests that are under way, by method.
        upgrading: whether an upgrade to WebSocket was begun; there is only one.
        lent: whether its WebSocket has its places.
        received: number of bytes of its POSTs.
        sent: number of bytes of the answers to its GETs.
    """

    __slots__ = (
        "__weakref__",
        "_bucket",
        "_elsewhere",
        "_included",
        "_max_delay",
        "_next",
        "_on_end",
        "backend",
        "closing",
        "error",
        "heard",
        "info",
        "lent",
        "origin",
        "received",
        "rested",
        "sent",
        "sid",
        "silence",
        "slots",
        "started",
        "token",
        "under_way",
        "upgrading",
    )

    def __init__(
        self,
        info: SessionInfo,
        token: str,
        backend: Backend,
        opened: Opened,
        *,
        origin: OwnerOrigin,
        slots: HeldSlots,
        bucket: TokenBucket | None,
        max_delay: float,
        elsewhere: Elsewhere,
        started: float,
        now: float,
        on_end: Callable[[PassedSession], None],
    ) -> None:
        self._bucket = bucket
        self._elsewhere = elsewhere
        self._included = 0
        self._max_delay = max_delay
        self._next: dict[str, float] = {}  # the earliest time of the next request, by method
        self._on_end = on_end
        self.info = info
        self.token = token
        self.backend = backend
        self.sid = opened.sid
        self.silence = opened.silence
        self.origin = origin
        self.slots = slots
        self.started = started
        self.heard = self.rested = now
        self.closing: Cause | None = None
        self.error = ""
        self.under_way: dict[str, Request] = {}
        self.upgrading = self.lent = False
        self.received = self.sent = 0

    def __repr__(self) -> str:
        """Leave out the sid, because it is a secret."""
        return f"<PassedSession {self.info.id} {self.closing or 'open'}>"

    # Its place under the maximum of all connections.

    def include(self) -> None:
        """Let one more TCP connection of the client count as part of this connection, which has one place, until `exclude`."""
        if self.closing is None:
            self._included += 1
            self._elsewhere.count -= 1

    def exclude(self) -> None:
        """Let a TCP connection of the client count alone again; after the end of this connection, all of them do."""
        if self.closing is None:
            self._included -= 1
            self._elsewhere.count += 1

    # Its requests.

    @property
    def polled(self) -> bool:
        """Whether a GET is under way."""
        return "GET" in self.under_way

    def enter(self, method: str, request: Request) -> None:
        """Note that a request is under way, until `leave`.

        Raises:
            EngineError: another one with this method is under way.
        """
        if method in self.under_way:
            raise EngineError(Problem.BAD_REQUEST)
        self.under_way[method] = request
        self.include()

    def leave(self, method: str, now: float) -> None:
        """A request has ended."""
        del self.under_way[method]
        self.exclude()
        if method == "GET":
            self.rested = now

    def patience(self, method: str) -> float:
        """Return the maximum time in seconds in which nothing of a request moves; a POST may wait for the message rate."""
        return self.silence + self._max_delay * (method == "POST")

    async def turn(self, method: str) -> None:
        """Wait until the next request with this method may be forwarded."""
        now = asyncio.get_running_loop().time()
        due = max(now, self._next.get(method, now))
        self._next[method] = due + PACE_SECONDS
        if due > now:
            await asyncio.sleep(due - now)

    async def spend(self, packets: int) -> None:
        """Let packets of the client count for the message rate of its user, and wait for what exceeds it."""
        bucket = self._bucket
        if bucket is None:
            return
        bucket.left -= packets
        if bucket.left >= 0:
            return
        loop = asyncio.get_running_loop()
        delay = bucket.settle(loop.time())
        if delay > self._max_delay:
            self.end(Cause.MESSAGE_RATE)
            await loop.create_future()  # until the request is cut
        await asyncio.sleep(delay)

    # As a live connection.

    @property
    def between_messages(self) -> bool:
        """Whether no packets are on their way in a body."""
        return not any(method == "POST" or each.status for method, each in self.under_way.items())

    def traffic(self) -> Traffic:
        """Return its traffic; its messages are not counted, because the gateway does not read them."""
        return Traffic(bytes_from_client=self.received, bytes_from_backend=self.sent)

    def describe(self) -> dict[str, object]:
        """Return its data for people: the fields of its log line, which are those of a session."""
        info, cause = self.info, self.closing
        return {
            "request_id": info.id,
            "user_id": info.identity.user_id,
            "address": info.client.address,
            "path": info.path,
            "protocol": info.protocol,
            "backend": self.backend.name,
            "by": cause.by if cause is not None else None,
            "cause": cause.ending.code if cause is not None else None,
            "code": None,
            "reason": (cause.ending.words or None) if cause is not None else None,
            "error": self.error or None,
            "seconds": round(asyncio.get_running_loop().time() - self.started, 3),
            "messages_from_client": None,
            "messages_from_studio": None,
            "bytes_from_client": self.received,
            "bytes_from_studio": self.sent,
        }

    def end(self, cause: Cause, error: str = "", *, besides: Request | None = None) -> None:
        """End the connection: its `sid` is not known any more, and its requests are cut, `besides` the one that ends it."""
        if self.closing is not None:
            return
        self.closing = cause
        self.error = error
        self._elsewhere.count += self._included
        for request in tuple(self.under_way.values()):
            if request is not besides:
                request.cut(cause)
        self._on_end(self)

    def abort(self) -> None:
        """End it, because the gateway stops."""
        self.end(Cause.DRAINING)

    def drop(self, _: Side, cause: Cause) -> None:
        """End it, because one side is dead."""
        self.end(cause)

    def ping_backend(self) -> bool:
        """Return False, because the gateway sends no packets of its own."""
        return False

    def unanswered(self) -> float:
        """Return 0, because the client owes no answer to the gateway."""
        return 0.0


class LentSlots:
    """The places of a connection while its WebSocket has them (see `core.limits.Slot`).

    Args:
        session: the connection.
    """

    __slots__ = ("_held", "_session")

    def __init__(self, session: PassedSession) -> None:
        self._held = session.lent = True
        self._session = session
        session.include()

    def __repr__(self) -> str:
        return f"<LentSlots {self._session!r}>"

    def release(self) -> None:
        """Give the places back; a second call does nothing.

        Without a GET under way, the client has left long-polling, so the end of its WebSocket is that of the connection.
        Otherwise the upgrade has failed, and the client goes on polling.
        """
        if not self._held:
            return
        self._held = False
        session = self._session
        if not session.polled:
            session.end(Cause.CLIENT_CLOSED)
        session.lent = False
        session.exclude()
        if session.closing is not None:
            session.slots.release()

    def retake(self) -> None:
        """Take the places again, because the WebSocket is not dead after all."""
        if not self._held:
            self._held = self._session.lent = True
            self._session.include()
            self._session.slots.retake()
