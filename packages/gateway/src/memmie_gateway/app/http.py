"""The HTTP server, on aiohttp: the routes for health, readiness and metrics, and that of `renew`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from memmie_gateway.app.renew import RenewRoute
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.handover import LINGER_SECONDS

SHUTDOWN_SECONDS: Final = 1.0
"""Maximum time in seconds that a request may still take when the gateway stops."""

_NO_LIMIT: Final = 1 << 30  # of aiohttp, because the listener has already limited the head

Readiness = Callable[[], tuple[bool, dict[str, object]]]
"""Returns whether the gateway is ready, and the facts that decide this."""


def make_app(
    *, version: str, readiness: Readiness, metrics: CollectorRegistry, renew: RenewRoute
) -> web.Application:
    """Make the application.

    Args:
        version: the version of the gateway.
        readiness: called for every `/ready`.
        metrics: collected for every `/metrics`.
        renew: serves `/token/renew`.
    """

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "healthy", "version": version})

    async def ready(_: web.Request) -> web.Response:
        is_ready, parts = readiness()
        status = 200 if is_ready else 503
        return web.json_response({"status": "ready" if is_ready else "not ready", **parts}, status=status)

    async def show_metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(metrics), headers={"Content-Type": content_type})

    app = web.Application(middlewares=[_answer], client_max_size=1 << 16)
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", show_metrics)
    renew.add_to(app)
    return app


class HttpProtocol(web.RequestHandler):
    """An HTTP connection that is closed after its first response.

    The limits on request heads apply only to the first request of a connection, so no second request is accepted.
    Errors are answered here, because aiohttp would quote an invalid request in its response and in the log, and the
    request may contain a token.

    Args:
        server: the server that the connection belongs to.
        loop: the event loop.
    """

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # None switches it off, which the annotation does not say
            lingering_time=LINGER_SECONDS,
            max_line_size=_NO_LIMIT,
            max_headers=_NO_LIMIT,
            max_field_size=_NO_LIMIT,
            auto_decompress=False,  # a few compressed kilobytes can expand to gigabytes
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer an invalid request, or a request for which the handler failed."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return super().handle_error(request, status, exc, message)
        if request.writer.output_size:
            raise ConnectionError("the response is already under way")
        ending = Cause.BAD_REQUEST.ending
        return web.json_response({"error": ending.words, "code": ending.code}, status=status)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the response, and close the connection after it."""
        if isinstance(resp, web.HTTPExpectationFailed):
            body = {"error": "no expectation but 100-continue is met here", "code": "expectation_failed"}
            resp = web.json_response(body, status=resp.status)
        resp.force_close()
        return await super().finish_response(request, resp, start_time)


@web.middleware
async def _answer(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer errors as JSON."""
    try:
        response = await handler(request)
    except web.HTTPNotFound:
        ending = Cause.NO_ROUTE.ending
        response = web.json_response({"error": ending.words, "code": ending.code}, status=404)
    except web.HTTPMethodNotAllowed as error:
        body = {"error": f"{error.method} is not allowed here", "code": "method_not_allowed"}
        response = web.json_response(body, status=405, headers={"Allow": error.headers["Allow"]})
    response.headers["Cache-Control"] = "no-store"
    return response


class HttpServer:
    """Serves an application on connections that the listener has accepted.

    Args:
        app: the application.
    """

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS
        )

    def __call__(self) -> asyncio.Protocol:
        """Create a protocol for a connection."""
        server = self._runner.server
        assert server is not None  # noqa: S101 - started before the port is open
        return HttpProtocol(server, asyncio.get_running_loop())

    def __len__(self) -> int:
        """Return the number of connections."""
        server = self._runner.server
        return len(server.connections) if server is not None else 0

    async def start(self) -> None:
        """Start the application."""
        await self._runner.setup()

    async def stop(self) -> None:
        """Close every connection."""
        await self._runner.cleanup()
