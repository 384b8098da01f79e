"""The end of a gateway: whatever it holds is let go, and nothing keeps it waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.net.pair import Dial, StartGateway, until
from tests.net.scripted_auth import ScriptedAuth
from tests.net.wire import PATIENCE, upgrade_request

REFUSED = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"valid": false}'


@pytest.fixture
async def asked() -> AsyncIterator[ScriptedAuth]:
    async with ScriptedAuth() as asked:
        yield asked


async def test_a_client_that_has_said_nothing_is_dropped(start_gateway: StartGateway, dial: Dial) -> None:
    gateway = await start_gateway()
    client = await dial(gateway)
    assert gateway._edge is not None
    await until(lambda: gateway._edge is not None and bool(gateway._edge.pending))
    await gateway.stop()
    assert await client.read_rest() == b""


async def test_a_question_that_nobody_waits_for_any_more_is_not_waited_for(
    start_gateway: StartGateway, dial: Dial, asked: ScriptedAuth
) -> None:
    gateway = await start_gateway(AUTH_URL=asked.url, AUTH_TIMEOUT_SECONDS="600")
    client = await dial(gateway)
    client.write(upgrade_request("some-token"))
    question = await asked.asked()
    client.leave()
    await until(lambda: gateway._edge is not None and not gateway._edge.pending)
    async with asyncio.timeout(PATIENCE):
        await gateway.stop()
    await question.line.end()


async def test_a_question_that_waits_for_its_turn_is_not_waited_for(
    start_gateway: StartGateway, dial: Dial, asked: ScriptedAuth
) -> None:
    gateway = await start_gateway(AUTH_URL=asked.url, AUTH_TIMEOUT_SECONDS="600", AUTH_MAX_CONNECTIONS="1")
    for token in ("some-token", "another-token"):
        client = await dial(gateway)
        client.write(upgrade_request(token))
    await asked.asked()
    await until(lambda: "asking=2" in repr(gateway._auth))
    async with asyncio.timeout(PATIENCE):
        await gateway.stop()
    assert asked.questions == 1


async def test_a_connection_to_auth_that_is_kept_is_closed(
    start_gateway: StartGateway, dial: Dial, asked: ScriptedAuth
) -> None:
    gateway = await start_gateway(AUTH_URL=asked.url)
    client = await dial(gateway)
    client.write(upgrade_request("some-token"))
    question = await asked.asked()
    question.line.write(REFUSED)
    assert (await client.read_head()).status == 401
    assert not question.line.ended.is_set()
    await gateway.stop()
    await question.line.end()
