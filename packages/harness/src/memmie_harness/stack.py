"""A stack for tests: its parts, which the fixtures of one test start, and the whole, for several tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.choosing import Options, choose
from memmie_harness.chosen import Chosen
from memmie_harness.client import connect
from memmie_harness.conformance.launch import temporary_folder
from memmie_harness.fixture_types import Connect, HasWebSocket, MintToken, StartGateway
from memmie_harness.stack_request import DEFAULT_STUDIOS, DEFAULT_TARGET, StackRequest
from memmie_harness.targets import Target

BODY_CHARACTERS: Final = 1000
"""How much of the body of a refusal the error of a test shows."""


@contextlib.asynccontextmanager
async def running_studios(auth: FakeAuth, chosen: Chosen) -> AsyncIterator[list[FakeStudio]]:
    """Start the fake Studios of a gateway; they validate tokens with `auth`."""
    ports = chosen.studio_ports or [0] * chosen.studios
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(FakeStudio(port=port, auth_url=auth.url, behind_gateway=True))
            for port in ports
        ]


@contextlib.asynccontextmanager
async def gateway_starter(
    auth: FakeAuth,
    studios: list[FakeStudio],
    chosen: Chosen,
    env: Mapping[str, str],
    targets: list[Target],
) -> AsyncIterator[StartGateway]:
    """Return a function that starts gateways; all are stopped in the end.

    Args:
        auth: the gateways' Auth.
        studios: the gateways' Studios.
        chosen: the gateway under test.
        env: settings of every gateway.
        targets: each gateway is added here, also if it does not start.
    """
    async with AsyncExitStack() as stack:

        async def start(more: Mapping[str, object] | None = None, /, *, until_ready: bool = True) -> Target:
            settings = {**env, **{name: str(value) for name, value in (more or {}).items()}}
            folder = Path(stack.enter_context(temporary_folder()))
            target = chosen.make(auth.url, [studio.ws_url for studio in studios], settings, folder)
            targets.append(target)
            await target.start(until_ready=until_ready)
            stack.push_async_callback(target.stop)
            return target

        yield start


@contextlib.asynccontextmanager
async def connector(gateway: HasWebSocket, mint: MintToken, chosen: Chosen) -> AsyncIterator[Connect]:
    """Return a function that connects WebSocket clients to `gateway`; all are closed in the end.

    Args:
        gateway: where clients connect by default.
        mint: returns tokens.
        chosen: says where clients put their tokens, if they need any.
    """
    connections: list[ClientConnection] = []
    home = asyncio.get_running_loop()

    async def connect_user(
        user_id: str | None = "u1",
        /,
        *,
        token: str | None = None,
        target: HasWebSocket | None = None,
        **options: Any,
    ) -> ClientConnection:
        if asyncio.get_running_loop() is not home:
            raise RuntimeError(
                "this test and the stack have different event loops, so nothing would answer; set the test's loop_scope "
                "to the scope of the fixture, for example pytest.mark.asyncio(loop_scope='session')"
            )
        if token is None and user_id is not None and chosen.takes_tokens:
            token = mint(user_id)
        ws_url = (target or gateway).ws_url
        if user_id is not None and not chosen.takes_tokens:
            # A proxy that asks nobody about tokens passes the query on, and the fake Studio wants the user in it.
            ws_url += f"{'&' if '?' in ws_url else '?'}user_id={quote(user_id, safe='')}"
        try:
            connection = await connect(ws_url, token, place=chosen.token_place, **options)
        except InvalidStatus as refused:
            refused.add_note(_answer(refused))
            raise
        connections.append(connection)
        return connection

    yield connect_user
    await asyncio.gather(*(connection.close() for connection in connections))


def _answer(refused: InvalidStatus) -> str:
    """Return the body of a refusal in words, because it often says why."""
    body = (refused.response.body or b"").decode("utf-8", "backslashreplace")[:BODY_CHARACTERS]
    return f"the body of the answer is {body!r}"


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
    studios: int | None = None,
    env: Mapping[str, object] | None = None,
    target: str = DEFAULT_TARGET,
    image: str | None = None,
    profile: str | None = None,
) -> AsyncIterator[Stack]:
    """Start a stack; stop it in the end. Everything runs on the event loop that it was started on.

    Args:
        studios: how many fake Studios there are; by default two, or as many as the profile needs.
        env: settings of the gateway in addition to those of `FOR_TESTS`.
        target: `process`, `inprocess` or `container`; with a profile, what the profile says, or `container`.
        image: the gateway's image for `container`.
        profile: the name of a profile of the conformance kit, or the path of a file: any other gateway.

    Raises:
        TargetError: the gateway did not start, or did not become ready.
        ValueError: there is no such profile, or it cannot be used; or the target is unknown.
    """
    requested = StackRequest(
        DEFAULT_STUDIOS if studios is None else studios,
        {name: str(value) for name, value in (env or {}).items()},
        target,
        any_studios=studios is None,
    )
    chosen_target = None if profile and target == DEFAULT_TARGET else target
    choice = choose(Options(chosen_target, image=image, profile=profile))
    async with shared_stack(choice.for_test(requested), requested.env, []) as stack:
        yield stack


@contextlib.asynccontextmanager
async def shared_stack(chosen: Chosen, env: Mapping[str, str], targets: list[Target]) -> AsyncIterator[Stack]:
    """Start a stack with the chosen gateway; see `gateway_starter` for the arguments."""
    async with (
        FakeAuth(port=chosen.auth_port) as auth,
        running_studios(auth, chosen) as studios,
        gateway_starter(auth, studios, chosen, env, targets) as start_gateway,
    ):
        gateway = await start_gateway() if chosen.url is None else chosen.running()
        if chosen.url is not None:
            await gateway.start()
        async with connector(gateway, auth.mint, chosen) as connect_user:
            yield Stack(auth, studios, gateway, start_gateway, auth.mint, connect_user)
