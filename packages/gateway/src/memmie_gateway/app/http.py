"""The HTTP routes: health, readiness and metrics. Requests without a route at the listener come here, to aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.handover import LINGER_SECONDS

Readiness = Callable[[], tuple[bool, dict[str, object]]]
"""Tells whether the gateway accepts work, and the parts of that answer."""


def make_app(*, version: str, readiness: Readiness, metrics: CollectorRegistry) -> web.Application:
    """Make the application.

    Args:
        version: of the gateway.
        readiness: asked at every `/ready`.
        metrics: collected at every `/metrics`.
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
    return app


class HttpProtocol(web.RequestHandler):
    """One HTTP connection, which ends with its first response.

    The bounds on a request head hold for the first request of a connection, so there is no second one. And where
    aiohttp answers by itself, as to a request that it cannot parse, it would quote the request in the response and in
    the log: the request may hold a token.

    Args:
        server: counts it.
        loop: runs it.
    """

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # None switches it off, which the annotation does not say
            lingering_time=LINGER_SECONDS,
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that cannot be parsed, or if its handler failed."""
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
    """Answer errors as JSON, like everywhere else."""
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
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    def __call__(self) -> asyncio.Protocol:
        """Make a protocol for a connection."""
        server = self._runner.server
        assert server is not None  # noqa: S101 - it is started before the port is open
        return HttpProtocol(server, asyncio.get_running_loop())

    def __len__(self) -> int:
        """Return how many connections there are."""
        server = self._runner.server
        return len(server.connections) if server is not None else 0

    async def start(self) -> None:
        """Make it ready for connections."""
        await self._runner.setup()

    async def stop(self) -> None:
        """Close every connection."""
        await self._runner.cleanup()
