"""A server with a life: started on any port, stopped as a crash would, started again on the same one."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from aiohttp import web

from memmie_fake_base import control
from memmie_fake_base.faults import (
    HTTP_FAULTS,
    Fault,
    FaultBook,
    RequestFault,
    ScriptedFault,
    make_fault,
)
from memmie_fake_base.hijack import Hijacked
from memmie_fake_base.hooks import Hooks
from memmie_fake_base.log import EventLog
from memmie_fake_base.problems import answer_problems
from memmie_fake_base.redaction import redact_headers, redact_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

    from aiohttp.typedefs import Handler

F = TypeVar("F", bound=Fault)

_ENTRY = web.RequestKey("entry", dict[str, Any])

# How long handlers may take to notice that their connection is gone, once it has been cut.
_CLEANUP_SECONDS = 1.0


class FakeServer(Hooks, ABC):
    """What both fakes do: listen, misbehave as scripted, log what was received.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one at the first start, which later starts use again.
        log_entries: how many log entries are kept.
        max_body_bytes: the largest request body; a larger one is answered 413.

    Attributes:
        log: what was received, newest last.
    """

    catalogue: ClassVar[Mapping[str, type[Fault]]] = HTTP_FAULTS
    selectors: ClassVar[frozenset[str]] = frozenset({"route"})

    def __init__(self, host: str, port: int, *, log_entries: int, max_body_bytes: int) -> None:
        if not 0 <= port <= 65535:
            raise ValueError(f"port: {port} given, allowed: 0-65535 (0 takes a free one)")
        self.host = host
        self.log = EventLog(log_entries)
        self._port = port
        self._max_body_bytes = max_body_bytes
        self._book = FaultBook()
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url if self.running else 'stopped'}>"

    @abstractmethod
    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes of the service itself."""

    @property
    def port(self) -> int:
        """The port; 0 until the first start where none was given."""
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
            RuntimeError: it is running already.
            OSError: the port is taken, or the address is not this machine's.
        """
        if self.running:
            raise RuntimeError(f"already listening on {self.url}")
        app = web.Application(
            middlewares=[self._log_request, answer_problems, self._strike_faults],
            client_max_size=self._max_body_bytes,
        )
        app.add_routes([*control.routes(self), *self.control_routes(), *self.routes()])
        # Cancelling handlers of lost connections is what ends a scripted hang.
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_CLEANUP_SECONDS
        )
        await runner.setup()
        try:
            assert runner.server is not None  # noqa: S101 - the runner was set up
            listener = await asyncio.get_running_loop().create_server(runner.server, self.host, self._port)
            try:
                self._port = listener.sockets[0].getsockname()[1]
                await self.opened()
            except BaseException:
                listener.close()
                raise
        except BaseException:
            await runner.cleanup()
            raise
        self._runner, self._listener = runner, listener

    async def stop(self, grace: float = 0) -> None:
        """Stop listening and cut every connection; nothing happens if it is not running.

        Args:
            grace: seconds for a polite goodbye first; 0 cuts at once, as a killed process would.
        """
        runner, self._runner = self._runner, None
        listener, self._listener = self._listener, None
        if runner is None or listener is None:
            return
        await _close_listener(listener)
        if grace > 0:
            await self.say_goodbye(grace)
        self.cut_connections()
        if runner.server is not None:
            for connection in runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        await runner.cleanup()
        await self.closed()

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
        """Script a fault; it strikes from now on, after those scripted before it.

        Args:
            fault: its name, with its parameters as keywords; or a fault object.
            route: a path with shell wildcards (`/api/*`).
            user_id: only this user (Studio).
            connection: only this live connection, at once (Studio).
            times: how often it strikes; None is always.
            **parameters: the fault's own.

        Raises:
            ValueError: something is unknown, missing or out of range; the message says what is allowed.
        """
        if connection is not None and (route != "*" or user_id is not None or times is not None):
            raise ValueError("connection: it names one already; leave out route, user_id and times")
        given = {"user_id": user_id, "connection": connection}
        for name, value in given.items():
            if value is not None and name not in self.selectors:
                raise ValueError(f"{name}: not a selector here; allowed: {', '.join(sorted(self.selectors))}")
        if isinstance(fault, str):
            fault = make_fault(self.catalogue, fault, parameters)
        elif parameters:
            raise ValueError(f"parameters belong to the fault object: {', '.join(sorted(parameters))}")
        scripted = ScriptedFault(
            id=self._book.next_id(), fault=fault, route=route, user_id=user_id, times=times
        )
        if connection is None:
            self._book.add(scripted)
        else:
            self.strike_connection(connection, fault)
            scripted.struck = 1
        return scripted

    def unscript(self, fault_id: str) -> bool:
        """Take a scripted fault back; return whether it was there."""
        return self._book.remove(fault_id)

    def struck_by(self, kind: type[F], path: str, user_id: str | None) -> Iterator[F]:
        """Yield the scripted faults of a kind that strike now, in their order; see `FaultBook.strikes`."""
        return self._book.strikes(kind, path=path, user_id=user_id)

    @property
    def faults(self) -> list[dict[str, Any]]:
        """The scripted faults, as `GET /_control/faults` shows them."""
        return self._book.describe()

    def reset(self) -> None:
        """Forget the faults, the log and everything stored; connections stay."""
        self._book.clear()
        self.forget()
        self.log.clear()

    def note_status(self, request: web.Request, status: int) -> None:
        """Complete a request's log entry early, where its handler lives on after the answer (an upgrade)."""
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
        for fault in self.struck_by(RequestFault, request.path, self.user_of(request)):  # type: ignore[type-abstract] # only asked about, never made
            entry = request[_ENTRY]
            entry["fault"] = f"{entry['fault']}+{fault.name}" if "fault" in entry else fault.name
            response = await fault.strike(request)
            if response is not None:
                return response
        return await handler(request)


async def _close_listener(listener: asyncio.Server) -> None:
    """Accept nobody any more, and return when all who were accepted are connections.

    A server that is closed between the two forgets whom it has accepted, and the client hangs: asyncio turns a
    socket into a connection two turns of the loop after it has accepted it, and fails to if the server is closed.
    """
    loop = asyncio.get_running_loop()
    for sock in listener.sockets:
        loop.remove_reader(sock)
    for _ in range(3):
        await asyncio.sleep(0)
    listener.close()
