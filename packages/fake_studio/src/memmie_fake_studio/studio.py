"""The fake Studio service: the WebSocket and HTTP routes of spec §4."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from memmie_fake_base import FakeServer, Fault
from memmie_fake_base.hijack import Hijacked, early_bytes, transport_of
from memmie_fake_base.problems import Problem
from memmie_fake_base.redaction import redact_headers
from memmie_fake_studio import control
from memmie_fake_studio.authentication import Authenticator
from memmie_fake_studio.connection import Connection
from memmie_fake_studio.content import Content
from memmie_fake_studio.conversation import Conversation
from memmie_fake_studio.events import ContentEvents
from memmie_fake_studio.faults import STUDIO_FAULTS, ConnectionFault
from memmie_fake_studio.handshake import accept
from memmie_fake_studio.hub import Hub, encode
from memmie_fake_studio.routes import Routes
from memmie_fake_studio.settings import StudioSettings
from memmie_fake_studio.wire import Message

_DEFAULTS: Final = StudioSettings()
"""Settings of a fake Studio that is given none."""

_GOING_AWAY: Final = 1001
"""The close code of a Studio that stops (RFC 6455 §7.4.1)."""

_EMIT_BATCH: Final = 16
"""How many events are emitted in one iteration of the loop; clients in the same process can read in between."""


class FakeStudio(FakeServer):
    """A faithful fake of Studio: `async with FakeStudio(auth_url=auth.url) as studio: studio.ws_url`.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
        settings: all settings.
        **changes: single settings, by name (`greeting=True`).

    Raises:
        ValueError: a setting is invalid; the message says what is allowed.
    """

    catalogue = STUDIO_FAULTS
    selectors = frozenset({"route", "user_id", "connection"})

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, settings: StudioSettings = _DEFAULTS, **changes: Any
    ) -> None:
        self.settings = replace(settings, **changes)
        super().__init__(
            host,
            port,
            log_entries=self.settings.log_entries,
            max_body_bytes=self.settings.max_message_bytes,
            cors_origins=self.settings.cors_origins,
        )
        self._content = Content(self.settings.max_items)
        self._hub = Hub()
        events = ContentEvents(self._hub)
        self._conversation = Conversation(self._content, events)
        self._authenticator = Authenticator(self.settings)
        self._routes = Routes(self._content, events, self._authenticator)
        self._numbers = itertools.count(1)

    @property
    def ws_url(self) -> str:
        """The address of the WebSocket, without `?user_id=`."""
        return f"ws://{self._address}/ws"

    @property
    def connections(self) -> list[Connection]:
        """The live connections without health checks, which come and go at any time; oldest first."""
        return [connection for connection in self._hub.all() if not connection.is_health_check]

    def connection(self, connection_id: str) -> Connection:
        """Return a live connection.

        Raises:
            ValueError: no connection with this id is open.
        """
        connection = self._hub.get(connection_id)
        if connection is None:
            raise ValueError(
                f"connection: {connection_id!r} is not open; GET /_control/connections lists the open connections"
            )
        return connection

    async def emit(self, user_id: str, event_type: str, data: Any = None, count: int = 1) -> int:
        """Push an event to each of a user's connections that subscribes to it.

        Args:
            user_id: the user.
            event_type: such as `processor.status`.
            data: any JSON value.
            count: how many times the event is pushed.

        Returns:
            how many messages were sent or queued, over all connections.
        """
        sent = 0
        for number in range(count):
            if number and number % _EMIT_BATCH == 0:
                await asyncio.sleep(0)
            sent += self._hub.publish(user_id, event_type, data)
        return sent

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes of spec §3 and §4, and the echo routes."""
        answer = self._echo if self.settings.echo else self._conversation.answer
        return [
            web.get("/ws", self._websocket(answer, needs_user=True)),
            web.get("/ws/health", self._websocket(self._conversation.answer)),
            web.get("/ws/echo", self._websocket(self._echo)),
            web.get("/ws/echo/health", self._websocket(self._conversation.answer)),
            *self._routes.all(),
        ]

    def control_routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return Studio's own control routes."""
        return control.routes(self)

    def strike_connection(self, connection_id: str, fault: Fault) -> None:
        """Let a fault strike one live connection at once.

        Raises:
            ValueError: no such connection is open, or the fault strikes requests only.
        """
        if not isinstance(fault, ConnectionFault):
            raise ValueError(  # noqa: TRY004 - as for any bad argument of `script`
                f"the fault {fault.name} acts on requests, not on open connections; use route or user_id instead of connection"
            )
        self.connection(connection_id).strike(fault)

    def clear_stores(self) -> None:
        """Remove blobs, buckets and books."""
        self._content.clear()

    async def on_start(self) -> None:
        """Open the HTTP client for Auth."""
        await self._authenticator.open()

    async def on_stop(self) -> None:
        """Close the HTTP client for Auth."""
        await self._authenticator.close()

    async def close_connections(self, grace: float) -> None:
        """Close every WebSocket with 1001, and wait at most `grace` seconds for the closing handshakes."""
        for connection in self._hub.all():
            connection.close(_GOING_AWAY, "Studio is shutting down")
        await self._hub.wait_until_empty(grace)

    def abort_connections(self) -> None:
        """Abort every WebSocket."""
        for connection in self._hub.all():
            connection.wire.abort("Studio stopped")

    def user_of(self, request: web.Request) -> str | None:
        """Return the user that a request names: in the query of a WebSocket, in `X-User-ID` over HTTP."""
        return request.query.get("user_id") or request.headers.get("X-User-ID")

    def _echo(self, connection: Connection, message: Message) -> None:
        connection.reply(message)

    def _websocket(
        self, answer: Callable[[Connection, Message], None], *, needs_user: bool = False
    ) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            protocol = accept(request, self.settings)
            user_ids = request.query.getall("user_id", [])
            if len(user_ids) > 1:
                raise Problem(
                    400, "bad_user", f"the query has {len(user_ids)} fields user_id; at most one is allowed"
                )
            if needs_user and not any(user_ids):
                raise Problem(
                    400,
                    "bad_user",
                    f"{request.path} needs the id of the user in the query, as in ?user_id=u1",
                )
            ended = asyncio.Event()

            def lost(connection: Connection) -> None:
                self._hub.remove(connection)
                ended.set()

            connection = Connection(
                f"c{next(self._numbers)}",
                user_id=user_ids[0] if user_ids else "",
                path=request.path,
                protocol=protocol,
                transport=transport_of(request),
                settings=self.settings,
                log=self.log,
                answer=answer,
                lost=lost,
            )
            self._open(connection, request, needs_user=needs_user)
            await ended.wait()
            return Hijacked()

        return handle

    def _open(self, connection: Connection, request: web.Request, *, needs_user: bool) -> None:
        protocol = connection.wire.protocol
        self.log.add(
            "connect",
            connection=connection.id,
            user_id=connection.user_id,
            session_id=connection.session_id,
            path=connection.path,
            subprotocol=protocol.subprotocol,
            extensions=[extension.name for extension in protocol.extensions],
            headers=redact_headers(request.headers.items()),
        )
        connection.wire.open(request.protocol)
        self.note_status(request, 101)
        self._hub.add(connection)
        if needs_user and self.settings.greeting:
            greeting = {"status": "ready", "user_id": connection.user_id, "session_id": connection.session_id}
            connection.reply(encode({"type": "connected", "data": greeting}))
        for fault in self.struck_by(ConnectionFault, request.path, connection.user_id):  # type: ignore[type-abstract] # it selects a kind and is not instantiated
            connection.strike(fault)
        early = early_bytes(request)
        if early:
            connection.wire.data_received(early)
