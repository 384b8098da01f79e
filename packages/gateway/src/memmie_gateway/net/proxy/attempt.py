"""The attempts to connect to a service for one request (see `net.backends.dispatcher.Attempt`)."""

from __future__ import annotations

from collections.abc import Callable

from memmie_gateway.core.http import proxied
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.routes import HttpRoute
from memmie_gateway.core.steps import Maybe
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.http1.url import ServiceUrl
from memmie_gateway.net.proxy.asking import Link, ReadBody, Upstream


class Attempt:
    """Connects to one backend after the other, or to Auth.

    Args:
        upstream: connects.
        arrival: the request.
        route: its route.
        credentials: the parts of the request that may be forwarded.
        user_id: the user; None on a route without authentication.
        marked: whether the client's target ends with a question mark.
        read: reads the body of the request.
        on_tried: called before each attempt with the backend.
        on_failed: called when a backend could not be reached, with the reason.
    """

    __slots__ = (
        "_arrival",
        "_credentials",
        "_marked",
        "_on_failed",
        "_on_tried",
        "_read",
        "_route",
        "_upstream",
        "_user_id",
    )

    def __init__(
        self,
        upstream: Upstream,
        arrival: Arrival,
        route: HttpRoute,
        credentials: Credentials,
        user_id: str | None,
        *,
        marked: bool,
        read: ReadBody,
        on_tried: Callable[[Backend], None],
        on_failed: Callable[[Backend, str], None],
    ) -> None:
        self._upstream = upstream
        self._arrival = arrival
        self._route = route
        self._credentials = credentials
        self._user_id = user_id
        self._marked = marked
        self._read = read
        self._on_tried = on_tried
        self._on_failed = on_failed

    def on(self, backend: Backend, seconds: float) -> Maybe[Link]:
        """Connect to a backend within so many seconds."""
        self._on_tried(backend)
        return self.to(backend.where, seconds)

    async def to(self, where: ServiceUrl, seconds: float) -> Link:
        """Connect to a service."""
        arrival, route, credentials = self._arrival, self._route, self._credentials
        request = arrival.request
        return await self._upstream.connect(
            where,
            request.method,
            self._target(where),
            proxied.request_fields(arrival, route, credentials, self._user_id, where.host_header),
            self._read if proxied.body_of(request).length != 0 else None,
            seconds,
        )

    def _target(self, _: ServiceUrl) -> str:
        """Return the path and the query at a service."""
        return proxied.target_for(self._route, self._arrival.request, self._credentials, marked=self._marked)

    def failed(self, backend: Backend, words: str) -> None:
        """Report that a backend could not be reached."""
        self._on_failed(backend, words)

    def abandon(self, link: Link) -> None:
        """Drop a connection that is not needed."""
        link.abandon()
