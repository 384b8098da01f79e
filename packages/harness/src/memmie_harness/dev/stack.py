"""Auth, Studios and the gateway in this process, started in the order of their dependencies."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import InvalidStatus, WebSocketException

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.client import HeartbeatError, connect, heartbeat
from memmie_harness.dev.ports import Ports
from memmie_harness.targets import InProcessTarget
from memmie_harness.wiring import gateway_environment

USER_ID: Final = "dev"
"""The user of the token."""

TOKEN_SECONDS: Final = 24 * 3600
"""How long the token is valid."""

WHY_NO_PORT: Final = {
    errno.EADDRINUSE: "is in use. Stop the program that listens on it, or choose other ports",
    errno.EACCES: "needs privileges that this user does not have. Choose a port above 1023",
    errno.EADDRNOTAVAIL: "is not available on 127.0.0.1. Choose other ports",
}
"""Why a port cannot be bound, and what to do, by error number."""


class PortError(Exception):
    """A service could not listen on its port; the message says which port, why and what to do."""


class CheckError(Exception):
    """The gateway is ready but did not answer a heartbeat; the message says what happened instead."""


@dataclass(frozen=True, slots=True)
class Running:
    """A stack that runs and was checked.

    Attributes:
        gateway: the gateway's HTTP address.
        websocket: the gateway's WebSocket address.
        auth: the fake Auth's HTTP address.
        studios: the HTTP address of each fake Studio.
        user_id: the user of the token.
        token: a token that is valid for `TOKEN_SECONDS` on this stack only.
        start_seconds: the time from the start of the first service until the gateway was ready.
        round_trip_seconds: the time of one heartbeat and its ack through the gateway.
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
    """Start the stack and check it by a heartbeat; stop it at the end, or when a start fails.

    Args:
        ports: where the services listen.
        gateway_settings: settings of the gateway (spec §7) in addition to the stack's own.
        on_log_line: called with each line that the gateway logs.

    Raises:
        PortError: a port cannot be bound.
        TargetError: the gateway is not installed, refuses a setting (`exit_code` 2) or did not become ready.
        CheckError: the gateway was ready but did not answer a heartbeat.
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
        round_trip_seconds = await _check(gateway.ws_url, token)
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


async def _check(ws_url: str, token: str) -> float:
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
    raise CheckError(f"the gateway at {ws_url} is ready, but a heartbeat failed: {reason}")


@contextlib.contextmanager
def _port_of(service: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in WHY_NO_PORT:
            raise
        raise PortError(
            f"port {port} (for {service}) {WHY_NO_PORT[error.errno]} with --port-base (0 = any free ports)"
        ) from error
