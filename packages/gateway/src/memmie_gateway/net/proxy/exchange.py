"""An exchange: one HTTP request of a client, and the answer of a service.

    admit → choose a service and connect → send the request → answer, both bodies streamed → end

All of it is one task. It is cancelled if the client leaves, if something is late, and if the exchange is cut.

How a request is admitted, and to which service it goes, depends on its kind: see `routed`, and `net.socketio.polls`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from memmie_gateway.core.auth.identity import Identity
from memmie_gateway.core.http import cors, proxied
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.deadlines import Deadlines, Late
from memmie_gateway.core.http.proxied import Framing
from memmie_gateway.core.http.refusals import RefusedError, refusal_parts
from memmie_gateway.core.http.request_ends import broke_off, why_cancelled
from memmie_gateway.core.http.response import header_lines, http_response
from memmie_gateway.core.http.routes import HttpRoute
from memmie_gateway.core.limits import Slot
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import ready, run
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.proxy.asking import Answer, BrokenError, Link
from memmie_gateway.net.proxy.attempt import Attempt
from memmie_gateway.net.proxy.client_side import ClientSide
from memmie_gateway.net.proxy.live_response import LiveResponse
from memmie_gateway.net.proxy.owner import Owner
from memmie_gateway.net.proxy.watch import Watch


class Exchange(ABC):
    """One request and its answer.

    Args:
        proxy: what all exchanges share.
        route: the route of the request.
        arrival: the request.

    Attributes:
        route: as given.
        arrival: as given.
        started: the loop's time at the start.
        backend: the last backend that was tried; None for none, and for Auth.
        identity: the user; None before authentication, and without it.
        status: the status that the client got; 0 if it got none.
        sent: number of bytes of the answer's body that were sent to the client.
        cause: the cause if the exchange was refused or cut, otherwise None.
        client: the client's connection; None before the limits by address have let the request in.
        live: the live response; None unless it has been streaming for long.
    """

    __slots__ = (
        "_answer",
        "_counted",
        "_late",
        "_max_body",
        "_page",
        "_slot",
        "_task",
        "_watch",
        "arrival",
        "backend",
        "cause",
        "client",
        "identity",
        "live",
        "proxy",
        "route",
        "sent",
        "started",
        "status",
    )

    def __init__(self, proxy: Owner[Exchange], route: HttpRoute, arrival: Arrival) -> None:
        self.proxy = proxy
        self.route = route
        self.arrival = arrival
        self.started = proxy.clock.loop_time()
        self.backend: Backend | None = None
        self.identity: Identity | None = None
        self.status = 0
        self.sent = 0
        self.cause: Cause | None = None
        self.client: ClientSide | None = None
        self.live: LiveResponse | None = None
        self._answer: Answer | None = None
        self._counted: Backend | None = None
        self._late: Late | None = None
        self._max_body = proxy.options.max_body
        self._page = cors.page_of(proxy.origins, arrival.request.headers)
        self._slot: Slot | None = None
        self._task: asyncio.Task[None] | None = None
        now = proxy.clock.time()
        options = proxy.options
        deadlines = Deadlines(
            body=options.body_seconds, idle=options.idle_seconds, total=options.total_seconds, now=now
        )
        self._watch = Watch(proxy.clock, deadlines, self._look, self._is_late)

    def __repr__(self) -> str:
        return f"<Exchange {self.arrival!r} status={self.status}>"

    @property
    def logged(self) -> bool:
        """Whether its end has a line of its own in the log."""
        return True

    @property
    def user_id(self) -> str:
        """The user, "" if it is not known."""
        return self.identity.user_id if self.identity is not None else ""

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self.proxy.clock.loop_time() - self.started

    @property
    def moved(self) -> float:
        """The time at which something was last sent or received."""
        return self._watch.deadlines.moved

    @property
    def key(self) -> str:
        """The key of the user's backend; without a user, requests of one address go to one backend."""
        return self.user_id or f"\0{self.arrival.client.limit_key}"  # no user id has a control character

    async def run(self, handover: Handover) -> None:
        """Serve the client; this never raises an error."""
        self._task = asyncio.current_task()
        try:
            await self._serve(handover)
        except RefusedError as error:
            self._end_badly(handover, error)
        except asyncio.CancelledError:
            self._end_badly(handover, self._why_cancelled(handover))
        except Exception as error:  # noqa: BLE001 - a bug affects this client only, and is logged
            self._end_badly(handover, RefusedError(Cause.INTERNAL))
            answers.report_bug(error)
        finally:
            self._clean_up()

    def cut(self, cause: Cause) -> None:
        """End the exchange because of this cause."""
        if self._task is not None and self.cause is None:
            self.cause = cause
            self._task.cancel()

    # The steps.

    @abstractmethod
    async def _serve(self, handover: Handover) -> None:
        """Serve the client.

        Raises:
            RefusedError: the client is refused.
        """

    def _take(self, handover: Handover, *, with_head: bool = True) -> ClientSide:
        """Take the client's connection (see `ClientSide`)."""
        client = self.client = ClientSide(
            self.arrival.request,
            handover,
            self,
            max_body=self._max_body,
            on_moved=self._watch.moved,
            on_blocked=self._watch.check,
            on_gone=self._gone,
            with_head=with_head,
        )
        self.proxy.took()
        self._watch.check()
        return client

    def _check_length(self) -> None:
        """Refuse a body that is too large, before the client is asked for it.

        Raises:
            RefusedError: the body is too large.
        """
        length = proxied.body_of(self.arrival.request).length
        most = self._max_body.max_bytes
        if length is not None and most and length > most:
            raise self._max_body.refusal()

    async def _forward(self, client: ClientSide, credentials: Credentials) -> None:
        """Send the request to the service, and pass its answer on."""
        answer = self._answer = await self._ask(await self._connect(credentials))
        if problem := proxied.answer_problem(answer.head):
            raise RefusedError(broke_off(self.route.service), internal=problem)
        await self._pass_on(client, answer)

    @abstractmethod
    async def _connect(self, credentials: Credentials) -> Link:
        """Connect to a service.

        Raises:
            RefusedError: no service accepts the connection.
        """

    async def _dispatch(self, attempt: Attempt) -> Link:
        """Connect to a backend of the user."""
        # A connection, which may have been open before, does not show that the backend works.
        link = await ready(run(self.proxy.dispatcher.dispatch(self.key, attempt, proves=False)))
        assert self.backend is not None  # noqa: S101 - it was dispatched there
        self._counted = self.backend
        self.proxy.dispatcher.joined(self.key, self.backend)
        return link

    def _tried(self, backend: Backend) -> None:
        self.backend = backend

    def _failed(self, backend: Backend, words: str) -> None:
        self.proxy.dial_failed(self, backend, words)

    async def _ask(self, link: Link) -> Answer:
        try:
            answer = await link.answer()
        except BrokenError as error:
            raise self._broken(str(error)) from None
        self._watch.moved()
        if self.backend is not None and self.user_id and answer.head.status < 500:
            self.backend.worked()
        return answer

    async def _read_part(self, answer: Answer) -> bytes:
        """Read the next part of the answer's body, b"" at its end.

        Raises:
            RefusedError: the answer has broken off.
        """
        try:
            data = await answer.read()
        except BrokenError as error:
            raise self._broken(str(error)) from None
        if data:
            self._watch.moved()
        return data

    async def _pass_on(self, client: ClientSide, answer: Answer) -> None:
        """Stream the answer to the client."""
        request = self.arrival.request
        head, framing = proxied.answer_head(answer.head, request, self.arrival.id, self._page.fields)
        self.status = answer.head.status
        if proxied.is_event_stream(answer.head):
            self._watch.deadlines.stream()
        await client.write(head)
        while data := await self._read_part(answer):
            self.sent += len(data)
            await client.write(proxied.chunk(data) if framing is Framing.CHUNKED else data)
        self._answer = None
        answer.close(complete=client.complete)
        client.end(proxied.chunk(b"") if framing is Framing.CHUNKED else b"")
        self.proxy.done(self)

    # The end.

    def _gone(self) -> None:
        """The client has left."""
        if self._task is not None:
            self._task.cancel()

    def _look(self) -> None:
        """Bring the deadlines up to date."""
        client, deadlines = self.client, self._watch.deadlines
        if client is not None:
            deadlines.body_complete = client.complete
            deadlines.for_client = client.blocked or (client.starved and not self.status)

    def _is_late(self, late: Late) -> None:
        self._late = late
        if self._task is not None:
            self._task.cancel()

    def _why_cancelled(self, handover: Handover) -> RefusedError:
        if self.cause is not None:
            return RefusedError(self.cause)
        gone = self.client.gone if self.client is not None else handover.transport.is_closing()
        return RefusedError(
            *why_cancelled(self._late, self.route.service, gone=gone, answered=bool(self.status))
        )

    def _broken(self, words: str) -> RefusedError:
        """Return why the service did not give a complete answer; perhaps the body of the request was refused."""
        assert self.client is not None  # noqa: S101 - its request was sent
        if self.client.error is not None:
            return self.client.error
        if self.backend is not None:
            self.backend.broke(self.user_id, f"an HTTP request broke: {words}")
        return RefusedError(broke_off(self.route.service), internal=words)

    def _end_badly(self, handover: Handover, error: RefusedError) -> None:
        """Answer with a refusal, or cut the answer if it has begun."""
        self.cause = error.cause
        client = self.client
        if self.status and client is not None:
            client.abort()
            self.proxy.done(self, error)
            return
        if error.cause is Cause.CLIENT_LEFT or not error.cause.ending.status:
            self.proxy.refused(self, error)
            (client.transport if client is not None else handover.transport).abort()
            return
        self.status = error.cause.ending.status
        self.proxy.refused(self, error)
        body, fields = refusal_parts(error)
        answer = self._own_answer(self.status, body, tuple(fields))
        if client is not None:
            client.end(answer)
        else:
            handover.end(answer, linger=self.arrival.request.has_body)

    def _own_answer(self, status: int, body: bytes, fields: cors.Lines) -> bytes:
        extra = header_lines((*self._page.fields, *fields))
        return http_response(
            status, body, "application/json", extra, envelope=answers.envelope_of(self.arrival)
        )

    def _clean_up(self) -> None:
        self._task = None
        self._watch.stop()
        if self._answer is not None:
            self._answer.close(complete=False)
            self._answer = None
        if self._counted is not None:
            self.proxy.dispatcher.left(self.key, self._counted)
        if self.client is None:  # the listener counts the connection
            self.lost()

    def _release_slot(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.release()

    # Told by the client's side, or by the handover that sends its last bytes.

    def taken(self) -> None:  # noqa: B027 - every kind does nothing
        """Nothing takes a connection after its answer."""

    def lost(self) -> None:
        """The connection has ended, so that its places are free."""
        self._release_slot()
        self.proxy.ended(self)
