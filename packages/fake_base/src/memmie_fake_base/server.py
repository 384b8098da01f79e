"""A fake server: it can be started on any port, crashed or stopped in order, and started again on the same port."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, Self, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from memmie_fake_base import control
from memmie_fake_base.cors import check_origins, cors
from memmie_fake_base.faults import (
    HTTP_FAULTS,
    Fault,
    FaultRegistry,
    RequestFault,
    ScriptedFault,
    make_fault,
)
from memmie_fake_base.hijack import Hijacked
from memmie_fake_base.hooks import Hooks
from memmie_fake_base.log import EventLog
from memmie_fake_base.page_guard import page_guard
from memmie_fake_base.problems import answer_problems
from memmie_fake_base.redaction import redact_headers, redact_query

F = TypeVar("F", bound=Fault)

_ENTRY: Final = web.RequestKey("entry", dict[str, Any])
"""Where a request keeps its log entry."""

_CLEANUP_SECONDS: Final = 1.0
"""How long handlers may take to end after their connection was aborted."""


class FakeServer(Hooks, ABC):
    """The base of both fakes: it listens, misbehaves as scripted, and logs what was received.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one at the first start, and later starts use the same one again.
        log_entries: how many log entries are kept.
        max_body_bytes: the largest request body; a larger one is answered with 413.
        cors_origins: the origins of web pages that may use the service, `*` for all; never the control routes.

    Attributes:
        host: the address it listens on.
        log: what was received, newest last.
        catalogue: the faults that can be scripted, by name.
        selectors: the arguments of `script` that select what a fault strikes.

    Raises:
        ValueError: an argument is out of range; the message says what is allowed.
    """

    catalogue: ClassVar[Mapping[str, type[Fault]]] = HTTP_FAULTS
    selectors: ClassVar[frozenset[str]] = frozenset({"route"})

    def __init__(
        self, host: str, port: int, *, log_entries: int, max_body_bytes: int, cors_origins: Iterable[str] = ()
    ) -> None:
        if not 0 <= port <= 65535:
            raise ValueError(f"port: {port} is given; allowed: 0-65535 (0 picks a free port)")
        self.host = host
        self.log = EventLog(log_entries)
        self._port = port
        self._max_body_bytes = max_body_bytes
        self._cors = cors(check_origins(cors_origins))
        self._faults = FaultRegistry()
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url if self.running else 'stopped'}>"

    @abstractmethod
    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes of the service itself."""

    @property
    def port(self) -> int:
        """The port; 0 before the first start if none was given."""
        return self._port

    @property
    def url(self) -> str:
        """The HTTP address, without a trailing slash."""
        return f"http://{self._address}"

    @property
    def _address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._runner is not None

    async def start(self) -> None:
        """Listen.

        Raises:
            RuntimeError: it is already running.
            OSError: the address cannot be bound, such as because the port is in use.
        """
        if self.running:
            raise RuntimeError(f"this fake already listens on {self.url}")
        app = web.Application(
            middlewares=[
                self._log_request,
                self._cors,
                answer_problems,
                page_guard(self.host),
                self._strike_faults,
            ],
            client_max_size=self._max_body_bytes,
        )
        app.add_routes([*control.routes(self), *self.control_routes(), *self.routes()])
        # A scripted hang ends because the handler of a lost connection is cancelled.
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_CLEANUP_SECONDS
        )
        await runner.setup()
        try:
            assert runner.server is not None  # noqa: S101 - the runner was set up
            listener = await asyncio.get_running_loop().create_server(runner.server, self.host, self._port)
            try:
                self._port = listener.sockets[0].getsockname()[1]
                await self.on_start()
            except BaseException:
                listener.close()
                raise
        except BaseException:
            await runner.cleanup()
            raise
        self._runner, self._listener = runner, listener

    async def stop(self, grace: float = 0) -> None:
        """Stop listening and abort every connection; does nothing if it is not running.

        Args:
            grace: seconds in which connections are closed in order first; 0 aborts at once, as a crash would.
        """
        runner, self._runner = self._runner, None
        listener, self._listener = self._listener, None
        if runner is None or listener is None:
            return
        await _close_listener(listener)
        if grace > 0:
            await self.close_connections(grace)
        self.abort_connections()
        if runner.server is not None:
            for connection in runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        await runner.cleanup()
        await self.on_stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def script(
        self,
        fault: str | Fault,
        *,
        route: str = "*",
        user_id: str | None = None,
        connection: str | None = None,
        times: int | None = None,
        **parameters: Any,
    ) -> ScriptedFault:
        """Script a fault. It strikes from now on, after those that were scripted before it.

        Args:
            fault: the name of the fault, with its parameters as keywords, or a fault object.
            route: the paths it strikes, with shell wildcards (`/api/*`).
            user_id: the only user it strikes (Studio only).
            connection: the id of the live connection it strikes at once (Studio only).
            times: how often it strikes; None is always.
            **parameters: the fault's parameters.

        Raises:
            ValueError: an argument is unknown, missing or out of range; the message says what is allowed.
        """
        if connection is not None and (route != "*" or user_id is not None or times is not None):
            raise ValueError(
                "connection: such a fault acts once, on this connection only; leave out route, user_id and times"
            )
        given = {"user_id": user_id, "connection": connection}
        for name, value in given.items():
            if value is not None and name not in self.selectors:
                raise ValueError(
                    f"{name}: this fake cannot limit a fault by {name}, only by {' or '.join(sorted(self.selectors))}"
                )
        if isinstance(fault, str):
            fault = make_fault(self.catalogue, fault, parameters)
        elif parameters:
            raise ValueError(
                f"{', '.join(sorted(parameters))}: parameters of a fault object must be given when the object is made"
            )
        scripted = ScriptedFault(
            id=self._faults.next_id(), fault=fault, route=route, user_id=user_id, times=times
        )
        if connection is None:
            self._faults.add(scripted)
        else:
            self.strike_connection(connection, fault)
            scripted.struck = 1
        return scripted

    def unscript(self, fault_id: str) -> bool:
        """Remove a scripted fault; return whether it was there."""
        return self._faults.remove(fault_id)

    def struck_by(self, kind: type[F], path: str, user_id: str | None) -> Iterator[F]:
        """Yield the scripted faults of a kind that strike a request, in order; see `FaultRegistry.strikes`."""
        return self._faults.strikes(kind, path=path, user_id=user_id)

    @property
    def faults(self) -> list[dict[str, Any]]:
        """The scripted faults, as `GET /_control/faults` shows them."""
        return self._faults.describe()

    def reset(self) -> None:
        """Clear the faults, the log and the stores; live connections stay as they are."""
        self._faults.clear()
        self.clear_stores()
        self.log.clear()

    def note_status(self, request: web.Request, status: int) -> None:
        """Enter the status into a request's log entry now; an upgrade's handler runs on after the response."""
        request[_ENTRY]["status"] = status

    @web.middleware
    async def _log_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if control.is_control(request):
            return await handler(request)
        entry = self.log.add(
            "request",
            method=request.method,
            path=request.path,
            query=redact_query(request.query.items()),
            headers=redact_headers(request.headers.items()),
            status=None,
        )
        request[_ENTRY] = entry
        response = await handler(request)
        if not isinstance(response, Hijacked):
            entry["status"] = response.status
        return response

    @web.middleware
    async def _strike_faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if control.is_control(request):
            return await handler(request)
        for fault in self.struck_by(RequestFault, request.path, self.user_of(request)):  # type: ignore[type-abstract] # it selects a kind and is not instantiated
            entry = request[_ENTRY]
            entry["fault"] = f"{entry['fault']}+{fault.name}" if "fault" in entry else fault.name
            response = await fault.strike(request)
            if response is not None:
                return response
        return await handler(request)


async def _close_listener(listener: asyncio.Server) -> None:
    """Stop accepting, and return when every accepted socket has become a connection.

    asyncio turns a socket into a connection two iterations of the loop after it has accepted it. If the server is
    closed in between, the socket is left open without a connection, and the client hangs.
    """
    loop = asyncio.get_running_loop()
    for sock in listener.sockets:
        loop.remove_reader(sock)
    for _ in range(3):
        await asyncio.sleep(0)
    listener.close()
