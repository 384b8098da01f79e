"""Auth, Studios and the gateway in this process, started in the order of their dependencies."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.dev.ports import Ports
from memmie_harness.dev.proof import Proof, heartbeat_answered, token_refused, websocket_opened
from memmie_harness.dev.signing_key import TOKEN_SECONDS
from memmie_harness.targets import InProcessTarget
from memmie_harness.wiring import gateway_environment, websocket_url

USER_ID: Final = "dev"
"""The user of the token."""

FOR_OWN_STUDIO: Final = {
    "HEALTH_CHECK": "off",  # most servers have no route for health checks, and many log a mere TCP connection as an error
    "HEALTH_RECOVERY_SECONDS": "0.5",  # a developer restarts it often, and waits for it
}
"""Settings of the gateway if the Studio is the developer's own."""

SOCKET_IO_PATH: Final = "/socket.io/"
"""Where the gateway speaks Socket.IO (spec §3, *Socket.IO*)."""

ENGINE_IO: Final = "EIO=4&transport=websocket"
"""The query with which a client of Socket.IO opens a WebSocket."""

WHY_NO_PORT: Final = {
    errno.EADDRINUSE: "is in use. Stop the program that listens on it, or choose other ports",
    errno.EACCES: "needs privileges that this user does not have. Choose a port above 1023",
    errno.EADDRNOTAVAIL: "is not available on 127.0.0.1. Choose other ports",
}
"""Why a port cannot be bound, and what to do, by error number."""


class PortError(Exception):
    """A service could not listen on its port; the message says which port, why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a stack consists of.

    Attributes:
        ports: where the gateway and the fakes listen.
        gateway_settings: settings of the gateway (spec §7) in addition to the stack's own.
        cors_origins: origins of web pages that may use the fakes and the gateway.
        own_auth: the HTTP address of the developer's own Auth; "" for a fake.
        own_studios: the WebSocket addresses of the developer's own Studios; none for fakes.
        signing_key: signs the fake Auth's tokens, in PEM; "" for a key that ends with this process.
    """

    ports: Ports
    gateway_settings: Mapping[str, str]
    cors_origins: tuple[str, ...] = ()
    own_auth: str = ""
    own_studios: tuple[str, ...] = ()
    signing_key: str = ""

    @property
    def passthrough(self) -> bool:
        """Whether clients reach the developer's own Studio by Socket.IO only."""
        return bool(self.own_studios) and self.gateway_settings.get("SOCKETIO") == "passthrough"


@dataclass(frozen=True, slots=True)
class Running:
    """A stack that runs and was checked.

    Attributes:
        gateway: the gateway's HTTP address.
        websocket: the gateway's WebSocket address.
        auth: Auth's HTTP address.
        studios: the HTTP address of each fake Studio, or the WebSocket address of each of the developer's own.
        user_id: the user of the token; None if Auth is the developer's own.
        token: a token that is valid for `TOKEN_SECONDS`; None if Auth is the developer's own.
        start_seconds: the time from the start of the first service until the gateway was ready.
        proof: what showed that the stack works.
        pages: the origins of web pages that may use the fakes, as given.
        allowed_origins: the origins of web pages that may use the gateway; `*` stands for all.
        passthrough: the developer's own Studio speaks Socket.IO itself, and the gateway does not translate.
    """

    gateway: str
    websocket: str
    auth: str
    studios: tuple[str, ...]
    user_id: str | None
    token: str | None
    start_seconds: float
    proof: Proof
    pages: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ("*",)
    passthrough: bool = False

    @property
    def own_studios(self) -> bool:
        """Whether the Studios are the developer's own."""
        return not self.studios[0].startswith("http")


@contextlib.asynccontextmanager
async def running_stack(
    plan: Plan, on_log_line: Callable[[str], None], *, on_wait: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Running]:
    """Start the stack and check it; stop it at the end, or when a start fails.

    Args:
        plan: what the stack consists of.
        on_log_line: called with each line that the gateway logs.
        on_wait: called once, with a line for people, if the check waits for the developer's own Studio.

    Raises:
        PortError: a port cannot be bound.
        TargetError: the gateway is not installed, refuses a setting (`exit_code` 2) or did not become ready.
        CheckError: the gateway was ready but did not work.
    """
    began = time.monotonic()
    settings = _settings(plan)
    async with AsyncExitStack() as stack:
        auth = await _start_auth(plan, stack)
        auth_url = auth.url if auth is not None else plan.own_auth
        fakes = await _start_studios(plan, auth_url, stack)
        gateway = InProcessTarget(
            gateway_environment(
                auth_url=auth_url,
                studio_ws_urls=plan.own_studios or [studio.ws_url for studio in fakes],
                port=plan.ports.gateway,
                extra=settings,
            ),
            on_line=on_log_line,
        )
        with _port_of("the gateway", plan.ports.gateway):
            await gateway.start()
        stack.push_async_callback(gateway.stop)
        ready = time.monotonic()

        token = auth.mint(USER_ID, ttl_seconds=TOKEN_SECONDS) if auth is not None else None
        if token is None:
            proof = await token_refused(gateway.ws_url)
        elif plan.own_studios:
            url, query = gateway.ws_url, ""
            if plan.passthrough:
                url, query = websocket_url(gateway.url, SOCKET_IO_PATH), ENGINE_IO
            proof = await websocket_opened(url, token, plan.own_studios, on_wait, query=query)
        else:
            proof = await heartbeat_answered(gateway.ws_url, token)
        yield Running(
            gateway=gateway.url,
            websocket=gateway.ws_url,
            auth=auth_url,
            studios=plan.own_studios or tuple(studio.url for studio in fakes),
            user_id=None if token is None else USER_ID,
            token=token,
            start_seconds=ready - began,
            proof=proof,
            pages=plan.cors_origins,
            allowed_origins=split_origins(settings.get("ALLOWED_ORIGINS", "*")),
            passthrough=plan.passthrough,
        )


def split_origins(setting: str) -> tuple[str, ...]:
    """Return the origins in a value of the setting `ALLOWED_ORIGINS`."""
    return tuple(origin for each in setting.split(",") if (origin := each.strip()))


async def _start_auth(plan: Plan, stack: AsyncExitStack) -> FakeAuth | None:
    if plan.own_auth:
        return None
    auth = FakeAuth(port=plan.ports.auth, signing_key=plan.signing_key, cors_origins=plan.cors_origins)
    with _port_of("Auth", plan.ports.auth):
        return await stack.enter_async_context(auth)


async def _start_studios(plan: Plan, auth_url: str, stack: AsyncExitStack) -> list[FakeStudio]:
    fakes = []
    for number, port in enumerate(() if plan.own_studios else plan.ports.studios, start=1):
        with _port_of(f"Studio {number}", port):
            studio = FakeStudio(
                port=port, auth_url=auth_url, behind_gateway=True, cors_origins=plan.cors_origins
            )
            fakes.append(await stack.enter_async_context(studio))
    return fakes


def _settings(plan: Plan) -> dict[str, str]:
    origins = {"ALLOWED_ORIGINS": ",".join(plan.cors_origins)} if plan.cors_origins else {}
    own_studio = FOR_OWN_STUDIO if plan.own_studios else {}
    return {**origins, **own_studio, **plan.gateway_settings}


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
