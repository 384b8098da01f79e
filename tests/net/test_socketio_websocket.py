"""Clients that speak Socket.IO over a WebSocket: connecting, events, acknowledgements, errors and the end."""

from __future__ import annotations

import json

import pytest
from tests.net.pair import Dial, GatewayLog, StartGateway, nobody_is_left, until
from tests.net.scripted_studio import ScriptedStudio
from tests.net.socketio import SocketIoPeer

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_harness.conformance.peers import TEXT


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@pytest.fixture
async def client(gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio) -> SocketIoPeer:
    """A client that is connected."""
    return await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint("u1"), studio)


async def test_the_open_packet_tells_the_settings(start_gateway: StartGateway, dial: Dial) -> None:
    gateway = await start_gateway(
        PING_INTERVAL_SECONDS="7", PING_TIMEOUT_SECONDS="3", MAX_MESSAGE_BYTES="5000"
    )
    client = await SocketIoPeer.dial(dial, gateway)
    sid = client.open.pop("sid")
    assert len(sid) == 22
    assert client.open == {"upgrades": [], "pingInterval": 7000, "pingTimeout": 3000, "maxPayload": 5000}


async def test_events_pass_both_ways(client: SocketIoPeer) -> None:
    client.send('42["create_blob",{"n":1.10}]')
    assert await client.studio.read_message() == (TEXT, b'{"type":"create_blob","data":{"n":1.10}}')
    client.studio.send(TEXT, '{"type":"blob.created","data":{"id":"b1"},"timestamp":1}')
    assert await client.read() == '42["blob.created",{"id":"b1"}]'


async def test_an_acknowledgement_is_the_message_with_the_id(client: SocketIoPeer) -> None:
    client.send('4212["heartbeat"]')
    asked = json.loads((await client.studio.read_message())[1])
    assert asked.pop("id").endswith(".12")
    assert asked == {"type": "heartbeat"}


async def test_studio_closes_and_the_client_is_told(client: SocketIoPeer, gateway: Gateway) -> None:
    client.studio.send_close(4000, "enough")
    assert await client.read() == '42["close",{"code":4000,"reason":"enough"}]'
    assert await client.read() == "41"
    assert await client.read_close() == (4000, "enough")
    client.peer.send_close(4000, "enough")
    assert await client.studio.read_close() == (4000, "enough")
    client.studio.leave()
    assert await client.peer.read_rest() == b""
    client.peer.leave()
    await until(lambda: nobody_is_left(gateway))


async def test_the_client_leaves(client: SocketIoPeer, gateway: Gateway, log: GatewayLog) -> None:
    client.send("41")
    assert await client.studio.read_close() == (1000, "")
    client.studio.send_close(1000)
    client.studio.leave()
    await client.peer.read_rest()
    client.peer.leave()
    await until(lambda: nobody_is_left(gateway))
    line = await log.line("closed")
    assert (line["protocol"], line["cause"], line["code"]) == ("socketio", "client_closed", 1000)


async def test_a_refused_client_learns_why(gateway: Gateway, dial: Dial, log: GatewayLog) -> None:
    client = await SocketIoPeer.dial(dial, gateway)
    client.send('40{"token":"wrong"}')
    answer = await client.read()
    assert answer.startswith("44")
    assert json.loads(answer[2:]) == {
        "code": "token_invalid",
        "message": "the token is not valid",
        "data": {"code": "token_invalid", "status": 401},
    }
    assert await client.read_close() == (4401, "the token is not valid")
    client.peer.leave()
    await until(lambda: nobody_is_left(gateway))
    line = await log.line("refused")
    assert (line["cause"], line["code"]) == ("token_invalid", 4401)
