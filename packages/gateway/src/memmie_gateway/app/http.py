"""The HTTP routes: health, readiness, metrics and the renewal of tokens.

A request is answered at once, so no second parser and no HTTP server is needed; only a renewal has to wait.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from memmie_gateway.app.metrics_page import MetricsPage
from memmie_gateway.app.renew import RenewRoute
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.limits import Buckets, Rate
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import Maybe, Steps, must_wait, run
from memmie_gateway.core.websocket.handshake import is_upgrade
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.ingress import answers, renewal
from memmie_gateway.net.ingress.listener import Refusal

FREE_CHECKS: Final = Rate(20, 20)
"""How many requests for `/health`, and for `/ready`, from one address do not count against its connection rate."""

MAX_REMEMBERED_CHECKS: Final = 10_000
"""Maximum number of addresses of which checks are counted, for each path."""

Readiness = Callable[[], tuple[bool, dict[str, object]]]
"""Returns whether the gateway is ready, and the facts that decide this."""

Serve = Callable[[Arrival, Handover], Maybe[None]]
"""Answers a request."""


class Events(Protocol):
    """Receives the events of requests, for logs and metrics."""

    def refused(self, refusal: Refusal) -> None:
        """A client was refused."""


class Proxy(Protocol):
    """Forwards requests to services (see `net.http_proxy`)."""

    def serves(self, path: str) -> bool:
        """Tell whether requests for a path are forwarded."""

    def __call__(self, arrival: Arrival, handover: Handover) -> None:
        """Forward a request."""


class HttpRoutes:
    """Serves every request that is not for a WebSocket: the gateway's own paths, and those that are forwarded.

    Args:
        version: the version of the gateway.
        readiness: called for every `/ready`.
        metrics: the text of `/metrics`.
        renew: serves `/token/renew`.
        limit_rate: refuses a client that sends requests too often; see `Admission.limit_rate`.
        events: notified of refusals.
        proxy: serves the paths that are forwarded; None if none are.
    """

    def __init__(
        self,
        *,
        version: str,
        readiness: Readiness,
        metrics: MetricsPage,
        renew: RenewRoute,
        limit_rate: Callable[[str], Steps[None]],
        events: Events,
        proxy: Proxy | None = None,
    ) -> None:
        self._proxy = proxy
        self._health_body = json.dumps({"status": "healthy", "version": version}).encode()
        self._readiness = readiness
        self._metrics = metrics
        self._limit_rate = limit_rate
        self._events = events
        self._checks = {path: Buckets(MAX_REMEMBERED_CHECKS) for path in ("/health", "/ready")}
        self._routes: Mapping[str, Mapping[str, Serve]] = {
            "/health": {"GET": self._health},
            "/ready": {"GET": self._ready},
            "/metrics": {"GET": self._show_metrics},
            renewal.PATH: {"OPTIONS": renew.preflight, "POST": renew.renew},
        }

    def __repr__(self) -> str:
        return f"<HttpRoutes {', '.join(self._routes)}>"

    def __call__(self, arrival: Arrival, handover: Handover) -> None:
        """Answer a request; if it has to wait, the rest runs as the task of the handover."""
        path = arrival.request.path
        if self._proxy is not None and path not in self._routes and self._proxy.serves(path):
            self._proxy(arrival, handover)
            return
        rest = run(self._serve(arrival, handover))
        if rest is not None:
            handover.start(rest)

    def _serve(self, arrival: Arrival, handover: Handover) -> Steps[None]:
        request = arrival.request
        try:
            _check_host(request)
            if self._is_limited(arrival):
                yield from self._limit_rate(arrival.client.limit_key)
            served = self._route(request)(arrival, handover)
            if must_wait(served):
                yield served
        except RefusedError as error:
            self._refuse(arrival, handover, error)
        except asyncio.CancelledError:
            left = handover.transport.is_closing()  # otherwise the gateway is stopping
            self._refuse(arrival, handover, RefusedError(Cause.CLIENT_LEFT if left else Cause.DRAINING))
        except Exception as error:  # noqa: BLE001 - a bug affects this client only, and is logged
            self._refuse(arrival, handover, RefusedError(Cause.INTERNAL))
            answers.report_bug(error)

    def _is_limited(self, arrival: Arrival) -> bool:
        """Tell whether a request counts against the connection rate of its address."""
        request = arrival.request
        checks = self._checks.get(request.path)
        if checks is not None:
            now = asyncio.get_running_loop().time()
            return checks.take(arrival.client.limit_key, FREE_CHECKS, now) > 0
        # A renewal counts itself, because pages of allowed origins may read why it was refused.
        return (request.method, request.path) != ("POST", renewal.PATH)

    def _route(self, request: Request) -> Serve:
        methods = self._routes.get(request.path)
        if methods is None or is_upgrade(request):  # WebSockets have paths of their own
            raise RefusedError(Cause.NO_ROUTE)
        if any(value.lower() != b"100-continue" for value in request.headers.all(b"expect")):
            raise RefusedError(Cause.EXPECTATION_REFUSED)
        serve = methods.get("GET" if request.method == "HEAD" else request.method)
        if serve is None:
            allowed = ",".join(["GET", "HEAD"] if "GET" in methods else methods)
            raise RefusedError(Cause.METHOD_REFUSED, f"{request.method} is not allowed here", allow=allowed)
        return serve

    def _refuse(self, arrival: Arrival, handover: Handover, error: RefusedError) -> None:
        self._events.refused(Refusal.of(arrival, error))
        answers.refuse(arrival, handover, error)

    # The routes.

    def _health(self, arrival: Arrival, handover: Handover) -> None:
        answers.answer(arrival, handover, 200, self._health_body)

    def _ready(self, arrival: Arrival, handover: Handover) -> None:
        is_ready, parts = self._readiness()
        body = {"status": "ready" if is_ready else "not ready", **parts}
        answers.answer(arrival, handover, 200 if is_ready else 503, json.dumps(body).encode())

    def _show_metrics(self, arrival: Arrival, handover: Handover) -> None:
        accepted = arrival.request.headers.elements(b"accept")
        text, content_type = self._metrics.text(accepted, asyncio.get_running_loop().time())
        answers.answer(arrival, handover, 200, text, content_type)


def _check_host(request: Request) -> None:
    """Refuse a request without exactly one Host header; HTTP/1.0 does not need one (RFC 9112 §3.2)."""
    hosts = len(request.headers.all(b"host"))
    if hosts > 1 or (not hosts and request.version == "1.1"):
        raise RefusedError(Cause.BAD_REQUEST, "exactly one Host header is needed")
