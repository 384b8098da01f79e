"""An exchange: one HTTP request of a client, and the answer of a service.

    admit → choose a service and connect → send the request → answer, both bodies streamed → end

All of it is one task. It is cancelled if the client leaves, if something is late, and if the exchange is cut.
"""

from __future__ import annotations

import asyncio

from memmie_gateway.core.auth.identity import Identity
from memmie_gateway.core.http import cors, proxied
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.deadlines import Deadlines, Late
from memmie_gateway.core.http.proxied import Framing
from memmie_gateway.core.http.refusals import RefusedError, refusal_parts
from memmie_gateway.core.http.request_ends import broke_off, why_cancelled
from memmie_gateway.core.http.response import header_lines, http_response
from memmie_gateway.core.http.routes import METHODS, HttpRoute, Service
from memmie_gateway.core.limits import Slot
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import ready, run
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.backends.dialer import DialError
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.proxy.asking import Answer, BrokenError, Link
from memmie_gateway.net.proxy.attempt import Attempt
from memmie_gateway.net.proxy.client_side import ClientSide
from memmie_gateway.net.proxy.live_response import LiveResponse, probe_peer
from memmie_gateway.net.proxy.owner import Owner
from memmie_gateway.net.proxy.watch import Watch
from memmie_gateway.net.sessions.options import SessionInfo


class Exchange:
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
        "_page",
        "_slot",
        "_task",
        "_timer",
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
        self._page = cors.page_of(proxy.origins, arrival.request.headers)
        self._slot: Slot | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        now = proxy.clock.time()
        options = proxy.options
        deadlines = Deadlines(
            body=options.body_seconds, idle=options.idle_seconds, total=options.total_seconds, now=now
        )
        self._watch = Watch(proxy.clock, deadlines, self._look, self._is_late)

    def __repr__(self) -> str:
        return f"<Exchange {self.arrival!r} status={self.status}>"

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

    async def _serve(self, handover: Handover) -> None:
        proxy, arrival, route = self.proxy, self.arrival, self.route
        request = arrival.request
        self._slot = await proxy.admission.enter(arrival, route)
        self.client = ClientSide(
            request,
            handover,
            self,
            max_body=proxy.options.max_body_bytes,
            on_moved=self._watch.moved,
            on_blocked=self._watch.check,
            on_gone=self._gone,
        )
        proxy.took()
        self._watch.check()
        if request.headers.get(b"upgrade") is not None:
            raise RefusedError(Cause.WRONG_PROTOCOL)
        if not proxied.is_served(request):
            detail = f"{request.method} is not allowed here"
            raise RefusedError(Cause.METHOD_REFUSED, detail, allow=",".join(METHODS))
        if problem := proxied.request_problem(request):
            raise RefusedError(Cause.BAD_REQUEST, problem)
        if any(value.lower() != b"100-continue" for value in request.headers.all(b"expect")):
            raise RefusedError(Cause.EXPECTATION_REFUSED)
        if not self._page.allowed:
            raise proxy.origins.refusal(request.headers)
        if route.hides(request.path):
            raise RefusedError(Cause.NO_ROUTE)
        if cors.is_preflight(request):
            self._answer_preflight(self.client)
            return
        length = proxied.body_of(request).length
        if length is not None and proxy.options.max_body_bytes and length > proxy.options.max_body_bytes:
            raise RefusedError(Cause.BODY_TOO_BIG)  # before the client is asked for it
        credentials = proxied.credentials_for(route, request)
        if route.authenticated:
            self.identity = await proxy.admission.identify(arrival, credentials)
        link = await self._connect(credentials)
        answer = self._answer = await self._ask(link)
        if problem := proxied.answer_problem(answer.head):
            raise RefusedError(broke_off(self.route.service), internal=problem)
        await self._pass_on(self.client, answer)

    def _answer_preflight(self, client: ClientSide) -> None:
        self.status = 204
        client.end(self._own_answer(204, b"", cors.preflight_fields(METHODS)))
        self.proxy.done(self)

    async def _connect(self, credentials: Credentials) -> Link:
        attempt = self._attempt(credentials)
        if self.route.service is Service.STUDIO:
            # A connection, which may have been open before, does not show that the backend works.
            link = await ready(run(self.proxy.dispatcher.dispatch(self.key, attempt, proves=False)))
            assert self.backend is not None  # noqa: S101 - it was dispatched there
            self._counted = self.backend
            self.proxy.dispatcher.joined(self.key, self.backend)
            return link
        try:
            return await attempt.to(self.proxy.auth_url, self.proxy.options.connect_seconds)
        except ExhaustionError as error:
            raise RefusedError(Cause.GATEWAY_FULL, internal=str(error)) from None
        except DialError as error:
            raise RefusedError(Cause.AUTH_UNAVAILABLE, internal=str(error)) from None

    def _attempt(self, credentials: Credentials) -> Attempt:
        assert self.client is not None  # noqa: S101 - the request has been let in
        return Attempt(
            self.proxy.upstream,
            self.arrival,
            self.route,
            credentials,
            self.user_id if self.route.authenticated else None,
            marked=self.client.marked,
            read=self.client.read,
            on_tried=self._tried,
            on_failed=self._failed,
        )

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

    async def _pass_on(self, client: ClientSide, answer: Answer) -> None:
        """Stream the answer to the client."""
        request = self.arrival.request
        head, framing = proxied.answer_head(answer.head, request, self.arrival.id, self._page.fields)
        self.status = answer.head.status
        if proxied.is_event_stream(answer.head):
            self._watch.deadlines.stream()
        if self.backend is not None:
            loop = asyncio.get_running_loop()
            wait = max(0.0, self.proxy.options.live_seconds - self.seconds)
            self._timer = loop.call_later(wait, self._become_live)
        await client.write(head)
        while True:
            try:
                data = await answer.read()
            except BrokenError as error:
                raise self._broken(str(error)) from None
            if not data:
                break
            self._watch.moved()
            self.sent += len(data)
            await client.write(proxied.chunk(data) if framing is Framing.CHUNKED else data)
        self._answer = None
        answer.close(complete=client.complete)
        client.end(proxied.chunk(b"") if framing is Framing.CHUNKED else b"")
        self.proxy.done(self)

    # A live response.

    def _become_live(self) -> None:
        self._timer = None
        if self.proxy.admission.draining:
            self.cut(Cause.DRAINING)
            return
        self.proxy.background(self._keep())

    async def _keep(self) -> None:
        """Take the places of a live connection, or cut the answer."""
        arrival = self.arrival
        try:
            slots = await self.proxy.admission.keep(arrival.client.limit_key, self.user_id)
        except RefusedError as error:
            self.cut(error.cause)
            return
        if self._task is None or self.backend is None or self.cause is not None:
            slots.release()  # it has ended meanwhile
            return
        self._release_slot()
        info = SessionInfo(
            arrival.id, arrival.request.path, arrival.client, self.identity or Identity(self.key)
        )
        self.live = LiveResponse(info, self.backend, slots, self.started, self.cut)
        assert self.client is not None  # noqa: S101 - it gets the answer
        probe_peer(self.client.transport)
        self.proxy.keep(self, self.live)

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
        if self._timer is not None:
            self._timer.cancel()
        if self._answer is not None:
            self._answer.close(complete=False)
            self._answer = None
        if self.live is not None:
            self.proxy.forget(self.live)
        if self._counted is not None:
            self.proxy.dispatcher.left(self.key, self._counted)
        if self.client is None:  # the listener counts the connection
            self.lost()

    def _release_slot(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.release()

    # Told by the client's side, or by the handover that sends its last bytes.

    def taken(self) -> None:
        """Nothing takes a connection after its answer."""

    def lost(self) -> None:
        """The connection has ended, so that its places are free."""
        self._release_slot()
        self.proxy.ended(self)
