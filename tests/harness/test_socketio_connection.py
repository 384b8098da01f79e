"""The Socket.IO connection of the chaos and attack suites: it is used like a plain one, with each transport."""

from __future__ import annotations

import asyncio
import functools
import json

import pytest
from tests.socketio_connection import Transport, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from memmie_fake_studio import FakeStudio
from memmie_harness.fixture_types import MintToken
from memmie_harness.numbered import Crowd, NumberedClient
from memmie_harness.targets import Target

pytestmark = pytest.mark.memmie(target="inprocess")


@pytest.mark.parametrize("transport", Transport)
async def test_numbered_messages(
    memmie_gateway: Target, memmie_token: MintToken, memmie_studios: list[FakeStudio], transport: Transport
) -> None:
    client = NumberedClient(
        "u1", memmie_token("u1"), lambda: memmie_gateway.ws_url, every=0.01, window=5, burst=5,
        connect=functools.partial(connect, transport=transport),
    )  # fmt: skip
    crowd = Crowd([client])
    async with crowd.running():
        await crowd.goes_on(20)
        assert client._connection is not None
        assert client._connection.upgraded is (transport is Transport.UPGRADE)  # type: ignore[attr-defined]
        await client.leave()
        await crowd.goes_on(20)
        (connection,) = [each for studio in memmie_studios for each in studio.connections]
        connection.close(4321, "the reason")
        await crowd.goes_on(20)
        await crowd.finish()
    left, closed, _ = client.lives
    assert (left.left, left.code) == (True, 1000)
    assert closed.close == (4321, "the reason")
    assert crowd.problems() == []


@pytest.mark.parametrize("transport", Transport)
async def test_a_refusal(memmie_gateway: Target, transport: Transport) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(memmie_gateway.ws_url, "no token", transport=transport)
    assert refused.value.response.status_code == 401
    assert json.loads(bytes(refused.value.response.body or b""))["code"] == "token_invalid"


@pytest.mark.parametrize("transport", Transport)
async def test_nothing_is_sent_behind_the_end(
    memmie_gateway: Target, memmie_token: MintToken, transport: Transport
) -> None:
    """Otherwise it would count as sent, but never reach Studio."""
    connection = await connect(memmie_gateway.ws_url, memmie_token("u1"), transport=transport)
    closing = asyncio.create_task(connection.close())
    await asyncio.sleep(0)
    with pytest.raises(ConnectionClosed):
        await connection.send('{"type": "heartbeat"}')
    await closing
