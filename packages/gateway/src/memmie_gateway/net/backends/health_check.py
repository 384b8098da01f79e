"""One health check of a backend, in the way that `HEALTH_CHECK` says (spec §3)."""

from __future__ import annotations

import contextlib
import enum
import socket
import ssl
import time
from dataclasses import dataclass
from functools import cache

from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import InvalidStatus, WebSocketException

from memmie_gateway.core.steps import ready
from memmie_gateway.net import clock
from memmie_gateway.net.backends.backend import BackendUrl
from memmie_gateway.net.http1.connection import HttpConnection
from memmie_gateway.net.http1.exhaustion import raise_exhaustion
from memmie_gateway.net.http1.happy_eyeballs import connect, first_to_answer
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.response_reader import HttpError
from memmie_gateway.net.http1.system_errors import words_of
from memmie_gateway.net.http1.url import without_query_values


class Kind(enum.Enum):
    """How to check a backend: `HEALTH_CHECK`."""

    WS = "ws"
    HTTP = "http"
    TCP = "tcp"
    OFF = "off"


class ProbeError(Exception):
    """A health check failed; the message says why, and what was checked."""


class _AnsweredError(Exception):
    """The backend answered, but not as it should."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How backends are checked.

    Attributes:
        kind: `WS` opens a WebSocket and sends a ping, `HTTP` sends a GET request, `TCP` only connects.
        path: the path of the check; "" for the path of the backend's URL followed by `/health`.
        timeout: maximum time in seconds for a check.
    """

    kind: Kind
    path: str
    timeout: float

    def target(self, where: BackendUrl) -> str:
        """Return the path of the check on a backend, with a query if there is one."""
        path = self.path or f"{where.path.rstrip('/')}/health"
        return f"{path}?{where.query}" if where.query and "?" not in path else path

    def shown(self, where: BackendUrl) -> str:
        """Return what is checked, for logs and without secrets; "" if nothing is."""
        return without_query_values(self._url(where))

    def _url(self, where: BackendUrl) -> str:
        if self.kind is Kind.OFF:
            return ""
        if self.kind is Kind.TCP:
            host = f"[{where.host}]" if ":" in where.host else where.host
            return f"tcp://{host}:{where.port}"
        scheme = self.kind.value + ("s" if where.secure else "")
        return f"{scheme}://{where.host_header}{self.target(where)}"

    async def probe(self, where: BackendUrl, resolver: Resolver) -> float:
        """Check a backend, and return the seconds that it took to answer; 0 if nothing is checked.

        Args:
            where: the URL of the backend.
            resolver: looks up the host name.

        Raises:
            ProbeError: the backend did not answer in time, or not as it should.
            ExhaustionError: a local resource is exhausted.
        """
        if self.kind is Kind.OFF:
            return 0.0
        shown = self.shown(where)
        try:
            async with clock.timeout(self.timeout):
                return await self._probe(where, resolver)
        except TimeoutError:
            resolver.give_up(where)
            what = "pong" if self.kind is Kind.WS else "answer"
            raise ProbeError(f"no {what} from {shown} within {self.timeout:g} seconds") from None
        except (OSError, WebSocketException, EOFError, HttpError, _AnsweredError) as error:
            if isinstance(error, OSError):
                raise_exhaustion(error)
            if not isinstance(error, InvalidStatus | _AnsweredError):
                resolver.give_up(where)
            words = words_of(error) if isinstance(error, OSError) else error
            raise ProbeError(f"the health check of {shown} failed ({_without(where, words)})") from None
        except Exception as error:  # noqa: BLE001 - see below
            # Such as a redirect to an invalid URL: nothing that a backend sends may end its health checks.
            words = f"{type(error).__name__}: {error}"
            raise ProbeError(f"the health check of {shown} failed: {_without(where, words)}") from None

    async def _probe(self, where: BackendUrl, resolver: Resolver) -> float:
        addresses = await ready(resolver.addresses(where))
        started = time.perf_counter()
        if self.kind is Kind.HTTP:
            tls = _tls() if where.secure else None
            _, connection = await connect(HttpConnection, where, addresses, tls)
            resolver.keep_to(where, addresses)
            with contextlib.closing(connection):
                return await self._get(connection, where)
        sock = await first_to_answer(where, addresses)
        resolver.keep_to(where, addresses)
        if self.kind is Kind.TCP:
            sock.close()
            return time.perf_counter() - started
        return await _ping(self._url(where), sock)

    async def _get(self, connection: HttpConnection, where: BackendUrl) -> float:
        started = time.perf_counter()
        # As for an upgrade, because of a success this reads only the head: the body may be a large page.
        response = await connection.request(
            f"GET {self.target(where)} HTTP/1.1\r\nHost: {where.host_header}\r\n"
            "Accept: */*\r\nUser-Agent: memmie-gateway\r\nConnection: close\r\n\r\n".encode(),
            upgrade=True,
        )
        if response.status >= 400:
            raise _AnsweredError(f"it answered {response.status}")
        return time.perf_counter() - started


def _without(where: BackendUrl, words: object) -> str:
    """Return the words of an error without the query of a URL, which they may quote."""
    return str(words).replace(where.query, "***") if where.query else str(words)


async def _ping(url: str, sock: socket.socket) -> float:
    async with connect_websocket(
        url,
        sock=sock,
        ping_interval=None,
        compression=None,
        proxy=None,
        close_timeout=0.2,
    ) as health:
        started = time.perf_counter()
        await (await health.ping())
        return time.perf_counter() - started


@cache
def _tls() -> ssl.SSLContext:
    """Return the context with the root certificates of the system, which is made once, because it reads them all."""
    return ssl.create_default_context()
