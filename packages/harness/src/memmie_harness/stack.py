"""A stack for tests: its parts, which the fixtures of one test start, and the whole, for several tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.client import connect
from memmie_harness.fixture_types import Connect, MintToken, StartGateway
from memmie_harness.stack_request import DEFAULT_STUDIOS, DEFAULT_TARGET, StackRequest
from memmie_harness.targets import Target, make_target
from memmie_harness.wiring import FOR_TESTS, gateway_environment


@contextlib.asynccontextmanager
async def running_studios(auth: FakeAuth, count: int) -> AsyncIterator[list[FakeStudio]]:
    """Start fake Studios that validate tokens with `auth`."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(FakeStudio(port=0, auth_url=auth.url, behind_gateway=True))
            for _ in range(count)
        ]


@contextlib.asynccontextmanager
async def gateway_starter(
    auth: FakeAuth,
    studios: list[FakeStudio],
    requested: StackRequest,
    choice: str,
    image: str | None,
    targets: list[Target],
) -> AsyncIterator[StartGateway]:
    """Return a function that starts gateways; all are stopped in the end.

    Args:
        auth: the gateways' Auth.
        studios: the gateways' Studios.
        requested: has settings of every gateway.
        choice: the kind of target, see `make_target`.
        image: the gateway's image for `container`.
        targets: each gateway is added here, also if it does not start.
    """
    async with AsyncExitStack() as stack:

        async def start(env: Mapping[str, object] | None = None, /, *, until_ready: bool = True) -> Target:
            environment = gateway_environment(
                auth_url=auth.url,
                studio_ws_urls=[studio.ws_url for studio in studios],
                extra={**FOR_TESTS, **requested.env, **(env or {})},
            )
            target = make_target(choice, environment, image=image)
            targets.append(target)
            await target.start(until_ready=until_ready)
            stack.push_async_callback(target.stop)
            return target

        yield start


@contextlib.asynccontextmanager
async def connector(gateway: Target, mint: MintToken) -> AsyncIterator[Connect]:
    """Return a function that connects WebSocket clients to `gateway`; all are closed in the end."""
    connections: list[ClientConnection] = []
    home = asyncio.get_running_loop()

    async def connect_user(
        user_id: str | None = "u1",
        /,
        *,
        token: str | None = None,
        target: Target | None = None,
        **options: Any,
    ) -> ClientConnection:
        if asyncio.get_running_loop() is not home:
            raise RuntimeError(
                "this test and the stack have different event loops, so nothing would answer; set the test's loop_scope "
                "to the scope of the fixture, for example pytest.mark.asyncio(loop_scope='session')"
            )
        if token is None and user_id is not None:
            token = mint(user_id)
        connection = await connect((target or gateway).ws_url, token, **options)
        connections.append(connection)
        return connection

    yield connect_user
    await asyncio.gather(*(connection.close() for connection in connections))


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack, with what the fixtures of one test have.

    Attributes:
        auth: the fake Auth, as `memmie_auth`.
        studios: the fake Studios, as `memmie_studios`.
        gateway: the gateway under test, as `memmie_gateway`.
        start_gateway: starts one more gateway, as `memmie_start_gateway`.
        token: returns a valid token, as `memmie_token`.
        connect: opens one more WebSocket client, as `memmie_connect`.
    """

    auth: FakeAuth
    studios: list[FakeStudio]
    gateway: Target
    start_gateway: StartGateway
    token: MintToken
    connect: Connect


@contextlib.asynccontextmanager
async def stack_for_tests(
    *,
    studios: int = DEFAULT_STUDIOS,
    env: Mapping[str, object] | None = None,
    target: str = DEFAULT_TARGET,
    image: str | None = None,
    targets: list[Target] | None = None,
) -> AsyncIterator[Stack]:
    """Start a stack; stop it in the end. Everything runs on the event loop that it was started on.

    Args:
        studios: how many fake Studios there are.
        env: settings of the gateway in addition to those of `FOR_TESTS`.
        target: `process`, `inprocess` or `container`.
        image: the gateway's image for `container`.
        targets: each gateway is added here, also if it does not start.

    Raises:
        TargetError: the gateway did not start, or did not become ready.
    """
    requested = StackRequest(studios, {name: str(value) for name, value in (env or {}).items()}, target)
    started: list[Target] = [] if targets is None else targets
    async with (
        FakeAuth(port=0) as auth,
        running_studios(auth, studios) as fakes,
        gateway_starter(auth, fakes, requested, target, image, started) as start_gateway,
    ):
        gateway = await start_gateway()
        async with connector(gateway, auth.mint) as connect_user:
            yield Stack(auth, fakes, gateway, start_gateway, auth.mint, connect_user)
