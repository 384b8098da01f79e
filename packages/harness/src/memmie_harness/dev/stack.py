"""Auth, Studios and the gateway in this process, started in the order in which they need each other."""

from __future__ import annotations

import contextlib
import errno
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from websockets.exceptions import InvalidStatus, WebSocketException

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.client import HeartbeatError, connect, heartbeat
from memmie_harness.targets import InProcessTarget
from memmie_harness.wiring import gateway_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from memmie_harness.dev.ports import Ports

USER_ID = "dev"
TOKEN_SECONDS = 24 * 3600

WHY_NO_PORT = {
    errno.EADDRINUSE: "is in use: stop what listens there",
    errno.EACCES: "needs rights that this user has not: take one above 1023",
    errno.EADDRNOTAVAIL: "cannot be had on 127.0.0.1",
}


class PortError(Exception):
    """A service could not listen on its port; the message says which, why and what to do."""


class ProofError(Exception):
    """Everything runs, but no heartbeat came back through the gateway; the message says what did."""


@dataclass(frozen=True, slots=True)
class Running:
    """A stack that runs and has proven itself.

    Attributes:
        gateway: HTTP address of the gateway.
        websocket: Its WebSocket address.
        auth: HTTP address of the fake Auth.
        studios: HTTP address of each fake Studio.
        user_id: Whose token `token` is.
        token: A valid token, `TOKEN_SECONDS` long. It opens nothing but this stack.
        start_seconds: From the first service's start until the gateway was ready.
        round_trip_seconds: One heartbeat → ack through the gateway.
    """

    gateway: str
    websocket: str
    auth: str
    studios: tuple[str, ...]
    user_id: str
    token: str
    start_seconds: float
    round_trip_seconds: float


@contextlib.asynccontextmanager
async def running_stack(
    ports: Ports, gateway_settings: Mapping[str, str], on_log_line: Callable[[str], None]
) -> AsyncIterator[Running]:
    """Start everything, prove it by a heartbeat, and stop everything at the end, also if a start fails.

    Args:
        ports: Where the services listen.
        gateway_settings: Settings of the gateway (spec §7) besides the stack's own.
        on_log_line: Called with each line the gateway logs.

    Raises:
        PortError: A port is not to be had.
        TargetError: The gateway is not installed, refuses a setting (``exit_code`` 2) or did not become ready.
        ProofError: The gateway was ready but did not carry a heartbeat.
    """
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        with _port_of("Auth", ports.auth):
            auth = await stack.enter_async_context(FakeAuth(port=ports.auth))
        studios = []
        for number, port in enumerate(ports.studios, start=1):
            with _port_of(f"Studio {number}", port):
                studios.append(await stack.enter_async_context(FakeStudio(port=port, auth_url=auth.url)))
        gateway = InProcessTarget(
            gateway_environment(
                auth_url=auth.url,
                studio_ws_urls=[studio.ws_url for studio in studios],
                port=ports.gateway,
                extra=gateway_settings,
            ),
            on_line=on_log_line,
        )
        with _port_of("the gateway", ports.gateway):
            await gateway.start()
        stack.push_async_callback(gateway.stop)
        ready = time.monotonic()

        token = auth.mint(USER_ID, ttl_seconds=TOKEN_SECONDS)
        round_trip_seconds = await _prove(gateway.ws_url, token)
        yield Running(
            gateway=gateway.url,
            websocket=gateway.ws_url,
            auth=auth.url,
            studios=tuple(studio.url for studio in studios),
            user_id=USER_ID,
            token=token,
            start_seconds=ready - began,
            round_trip_seconds=round_trip_seconds,
        )


async def _prove(ws_url: str, token: str) -> float:
    try:
        connection = await connect(ws_url, token)
        try:
            return await heartbeat(connection)
        finally:
            await connection.close()
    except InvalidStatus as refusal:
        body = bytes(refusal.response.body or b"").decode("utf-8", "replace")
        reason = f"it answered {refusal.response.status_code} {body[:200]}"
    except (HeartbeatError, WebSocketException, OSError) as error:
        reason = str(error)
    raise ProofError(f"the gateway at {ws_url} is ready, but carries no heartbeat: {reason}")


@contextlib.contextmanager
def _port_of(service: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in WHY_NO_PORT:
            raise
        raise PortError(
            f"port {port} (for {service}) {WHY_NO_PORT[error.errno]}, "
            "or choose others with --port-base (0 = any free ports)"
        ) from error
