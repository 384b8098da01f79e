"""An exchange of an HTTP route: it is admitted with limits of its own, and a long answer of it is a live connection."""

from __future__ import annotations

import asyncio

from memmie_gateway.core.auth.identity import Identity
from memmie_gateway.core.http import cors, proxied
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.routes import METHODS, HttpRoute, Service
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.backends.dialer import DialError
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_gateway.net.proxy.asking import Answer, Link
from memmie_gateway.net.proxy.attempt import Attempt
from memmie_gateway.net.proxy.client_side import ClientSide
from memmie_gateway.net.proxy.exchange import Exchange
from memmie_gateway.net.proxy.live_response import LiveResponse, probe_peer
from memmie_gateway.net.proxy.owner import Owner
from memmie_gateway.net.sessions.options import SessionInfo


class RoutedExchange(Exchange):
    """One request for an HTTP route; for the arguments see `Exchange`."""

    __slots__ = ("_timer",)

    def __init__(self, proxy: Owner[Exchange], route: HttpRoute, arrival: Arrival) -> None:
        super().__init__(proxy, route, arrival)
        self._timer: asyncio.TimerHandle | None = None

    # The steps.

    async def _serve(self, handover: Handover) -> None:
        proxy, arrival, route = self.proxy, self.arrival, self.route
        request = arrival.request
        self._slot = await proxy.admission.enter(arrival, route)
        client = self._take(handover)
        if error := proxied.why_refused(request):
            raise error
        if not self._page.allowed:
            raise proxy.origins.refusal(request.headers)
        if route.hides(request.path):
            raise RefusedError(Cause.NO_ROUTE)
        if cors.is_preflight(request):
            self._answer_preflight(client)
            return
        self._check_length()
        credentials = proxied.credentials_for(route, request)
        if route.authenticated:
            self.identity = await proxy.admission.identify(arrival, credentials)
        await self._forward(client, credentials)

    def _answer_preflight(self, client: ClientSide) -> None:
        self.status = 204
        client.end(self._own_answer(204, b"", cors.preflight_fields(METHODS)))
        self.proxy.done(self)

    async def _connect(self, credentials: Credentials) -> Link:
        assert self.client is not None  # noqa: S101 - the request has been let in
        attempt = Attempt(
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
        if self.route.service is Service.STUDIO:
            return await self._dispatch(attempt)
        try:
            return await attempt.to(self.proxy.auth_url, self.proxy.options.connect_seconds)
        except ExhaustionError as error:
            raise RefusedError(Cause.GATEWAY_FULL, internal=str(error)) from None
        except DialError as error:
            raise RefusedError(Cause.AUTH_UNAVAILABLE, internal=str(error)) from None

    async def _pass_on(self, client: ClientSide, answer: Answer) -> None:
        if self.backend is not None:
            loop = asyncio.get_running_loop()
            wait = max(0.0, self.proxy.options.live_seconds - self.seconds)
            self._timer = loop.call_later(wait, self._become_live)
        await super()._pass_on(client, answer)

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

    def _clean_up(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.live is not None:
            self.proxy.forget(self.live)
        super()._clean_up()
