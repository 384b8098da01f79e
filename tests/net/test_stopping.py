"""The end of a gateway: whatever it holds is let go, and nothing keeps it waiting."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator

import pytest
from tests.net.pair import Dial, StartGateway, nobody_is_left, until
from tests.net.scripted_auth import ScriptedAuth

from memmie_harness.conformance.peers import PATIENCE, upgrade_request

REFUSED = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"valid": false}'


@pytest.fixture
async def auth() -> AsyncIterator[ScriptedAuth]:
    """Stands in for the fake one: it is what gateways ask here."""
    async with ScriptedAuth() as auth:
        yield auth


async def test_a_client_that_has_said_nothing_is_dropped(start_gateway: StartGateway, dial: Dial) -> None:
    gateway = await start_gateway()
    client = await dial(gateway)
    await until(lambda: not nobody_is_left(gateway))
    await gateway.stop()
    assert await client.read_rest() == b""


@pytest.mark.parametrize("turns", range(4))
async def test_a_client_that_has_just_connected_is_dropped(start_gateway: StartGateway, turns: int) -> None:
    """The loop has accepted it, but perhaps not made a transport for it."""
    gateway = await start_gateway()
    gc.disable()  # it would close a connection that was forgotten
    try:
        with socket.create_connection(("127.0.0.1", gateway.port)) as client:
            client.setblocking(False)  # noqa: FBT003 - the name says it
            for _ in range(turns):
                await asyncio.sleep(0)
            await gateway.stop()
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionResetError):
                    assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
    finally:
        gc.enable()


async def test_a_question_that_nobody_waits_for_any_more_is_not_waited_for(
    start_gateway: StartGateway, dial: Dial, auth: ScriptedAuth
) -> None:
    gateway = await start_gateway(AUTH_TIMEOUT_SECONDS="600")
    client = await dial(gateway)
    client.write(upgrade_request("some-token"))
    question = await auth.asked()
    client.leave()
    await until(lambda: nobody_is_left(gateway))
    async with asyncio.timeout(PATIENCE):
        await gateway.stop()
    await question.line.end()


async def test_a_question_that_waits_for_its_turn_is_not_waited_for(
    start_gateway: StartGateway, dial: Dial, auth: ScriptedAuth
) -> None:
    gateway = await start_gateway(AUTH_TIMEOUT_SECONDS="600", AUTH_MAX_CONNECTIONS="1")
    for token in ("some-token", "another-token"):
        client = await dial(gateway)
        client.write(upgrade_request(token))
    await auth.asked()
    await until(lambda: "asking=2" in repr(gateway.parts.authenticator))
    async with asyncio.timeout(PATIENCE):
        await gateway.stop()
    assert auth.questions == 1


async def test_a_connection_to_auth_that_is_kept_is_closed(
    start_gateway: StartGateway, dial: Dial, auth: ScriptedAuth
) -> None:
    gateway = await start_gateway()
    client = await dial(gateway)
    client.write(upgrade_request("some-token"))
    question = await auth.asked()
    question.line.write(REFUSED)
    assert (await client.read_head()).status == 401
    assert not question.line.ended.is_set()
    await gateway.stop()
    await question.line.end()
