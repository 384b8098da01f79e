"""The HTTP routes: health, readiness, metrics. What is not a WebSocket upgrade comes here, through aiohttp."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from memmie_gateway.core.closing import Cause

Readiness = Callable[[], tuple[bool, dict[str, object]]]
"""Tells whether work is accepted, and the parts of that answer."""


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


@web.middleware
async def _answer(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer errors as JSON like everywhere else, and end the connection after each answer.

    The bounds on a request head hold for the first request of a connection, so there is no second one.
    """
    try:
        response = await handler(request)
    except web.HTTPNotFound:
        ending = Cause.NO_ROUTE.ending
        response = web.json_response({"error": ending.words, "code": ending.code}, status=404)
    except web.HTTPMethodNotAllowed as error:
        body = {"error": f"{error.method} is not allowed here", "code": "method_not_allowed"}
        response = web.json_response(body, status=405, headers={"Allow": error.headers["Allow"]})
    response.headers["Cache-Control"] = "no-store"
    response.force_close()
    return response
