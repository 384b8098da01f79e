"""The wiring of the route for clients that speak Socket.IO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memmie_gateway.app.events import Events
from memmie_gateway.app.http_wiring import silent_seconds
from memmie_gateway.app.settings import Settings
from memmie_gateway.core.socketio import handshake
from memmie_gateway.core.websocket.keepalive import Times
from memmie_gateway.net.backends.dispatcher import Dispatcher
from memmie_gateway.net.backends.pool import BackendPool
from memmie_gateway.net.http_proxy import HttpProxy
from memmie_gateway.net.ingress.admission import Admission
from memmie_gateway.net.ingress.body import BodyLimit
from memmie_gateway.net.ingress.listener import Elsewhere
from memmie_gateway.net.sessions.leases import Leases
from memmie_gateway.net.sessions.registry import SessionRegistry
from memmie_gateway.net.websocket import WebSocketRoute

if TYPE_CHECKING:
    from memmie_gateway.net.socketio.passthrough import PassthroughRoute
    from memmie_gateway.net.socketio.route import SocketIoRoute


def make_translator(
    settings: Settings,
    websocket: WebSocketRoute,
    admission: Admission,
    dispatcher: Dispatcher,
    elsewhere: Elsewhere,
    keepalive: Times,
) -> SocketIoRoute | None:
    """Make the route that translates; None if the setting says something else."""
    if settings.socketio != "translate":
        return None
    # Only here, because the packages with the codecs import much more than the codecs.
    from memmie_gateway.net.socketio.large_texts import LargeTexts  # noqa: PLC0415
    from memmie_gateway.net.socketio.opening import SocketIoOptions  # noqa: PLC0415
    from memmie_gateway.net.socketio.route import SocketIoRoute  # noqa: PLC0415

    options = SocketIoOptions(
        polling=settings.polling,
        body_seconds=settings.head_seconds,
        connect_seconds=settings.first_message_seconds,
        times=handshake.times_for(keepalive),
        max_message_bytes=settings.max_message_bytes,
        large_texts=LargeTexts(),
    )
    return SocketIoRoute(options, websocket, admission=admission, dispatcher=dispatcher, elsewhere=elsewhere)


def make_passthrough(
    settings: Settings,
    websocket: WebSocketRoute,
    proxy: HttpProxy | None,
    *,
    admission: Admission,
    dispatcher: Dispatcher,
    sessions: SessionRegistry,
    leases: Leases,
    pool: BackendPool,
    elsewhere: Elsewhere,
    events: Events,
) -> PassthroughRoute | None:
    """Make the route that forwards Socket.IO unchanged; None if the setting says something else."""
    if settings.socketio != "passthrough":
        return None
    from memmie_gateway.net.socketio.passthrough import PassthroughOptions, PassthroughRoute  # noqa: PLC0415

    return PassthroughRoute(
        PassthroughOptions(
            max_body=BodyLimit(settings.max_message_bytes, "MAX_MESSAGE_BYTES"),
            max_silence=settings.http_total_seconds,
            rate_max_delay=settings.message_rate_max_delay_seconds,
            dead_seconds=silent_seconds(settings),
        ),
        websocket,
        proxy if settings.polling else None,
        admission=admission,
        dispatcher=dispatcher,
        sessions=sessions,
        leases=leases,
        any_healthy=pool.any_healthy,
        elsewhere=elsewhere,
        events=events,
    )
