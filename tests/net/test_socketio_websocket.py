"""Clients that speak Socket.IO over a WebSocket: connecting, events, acknowledgements, errors and the end."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Sequence

import pytest
from tests.net.pair import Dial, GatewayLog, StartGateway, nobody_is_left, sessions_of, until
from tests.net.scripted_studio import ScriptedStudio, accept
from tests.net.socketio import QUERY, SocketIoPeer, upgrade

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.socketio.carrier import MOST_AT_ONCE, Packet
from memmie_gateway.net.socketio.client import TranslatedClient
from memmie_gateway.net.socketio.hearing import MOST_EARLY
from memmie_gateway.net.socketio.websocket_carrier import WebSocketCarrier
from memmie_harness.conformance.peers import BINARY, CONT, PING, PONG, TEXT, Peer

BAD_PACKETS = [
    '42["a"',
    "42[1]",
    "42[]",
    "42",
    "42{}",
    '40{"token":"t"}',
    "44{}",
    '42/x,["a"]',
    "9",
    "0{}",
    "4",
]
BAD_PACKETS += ['42["a",' + "[" * 100_000, '42["a",NaN]', f'42{"9" * 200}["a"]', '46-1["a"]', "bAAA="]

BROKE = "the client broke the Socket.IO protocol: "


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


# Where the token may be.


@pytest.mark.one_loop
@pytest.mark.parametrize("place", ["header", "subprotocol", "query"])
async def test_a_token_of_the_handshake_comes_first(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, place: str
) -> None:
    token = auth.mint("u7")
    extra = {
        "header": [f"Authorization: Bearer {token}"],
        "subprotocol": [f"Sec-WebSocket-Protocol: bearer, {token}"],
    }.get(place, [])
    query = f"{QUERY}&a=1" + (f"&token={token}" if place == "query" else "")
    client = await SocketIoPeer.dial(dial, gateway, *extra, query=query)
    assert client.peer.head.get("sec-websocket-protocol") == ("bearer" if place == "subprotocol" else "")
    await client.connect("another", studio)
    assert client.studio.head.target == "/ws?user_id=u7&a=1"
    assert token not in str(client.studio.head)


@pytest.mark.one_loop
@pytest.mark.parametrize(("connect", "code"), [("40", "token_missing"), ('40{"token":""}', "token_missing")])
async def test_a_client_without_a_token_is_refused(
    gateway: Gateway, dial: Dial, connect: str, code: str
) -> None:
    client = await SocketIoPeer.dial(dial, gateway)
    client.send(connect)
    assert json.loads((await client.read())[2:])["code"] == code


@pytest.mark.one_loop
async def test_an_origin_that_is_not_allowed_is_refused_before(
    start_gateway: StartGateway, dial: Dial
) -> None:
    gateway = await start_gateway(ALLOWED_ORIGINS="https://a")
    peer = await dial(gateway)
    peer.write(upgrade(QUERY, "Origin: https://b"))
    assert (await peer.read_head()).status == 403


@pytest.mark.one_loop
async def test_the_limit_of_an_address_counts_those_that_are_not_connected(
    start_gateway: StartGateway, dial: Dial
) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS_PER_IP="1")
    await SocketIoPeer.dial(dial, gateway)
    peer = await dial(gateway)
    peer.write(upgrade())
    assert (await peer.read_head()).status == 429


@pytest.mark.one_loop
async def test_the_limit_of_a_user_is_told_in_the_answer_to_connect(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS_PER_USER="1")
    token = auth.mint("u1")
    await (await SocketIoPeer.dial(dial, gateway)).connect(token, studio)
    second = await SocketIoPeer.dial(dial, gateway)
    second.send(f'40{{"token":"{token}"}}')
    refusal = json.loads((await second.read())[2:])
    assert refusal["data"] == {"code": "too_many_connections_of_user", "status": 429, "retry_after": 1}


@pytest.mark.one_loop
async def test_a_client_that_does_not_connect_in_time_ends(
    start_gateway: StartGateway, dial: Dial, log: GatewayLog
) -> None:
    gateway = await start_gateway(FIRST_MESSAGE_SECONDS="0.05")
    client = await SocketIoPeer.dial(dial, gateway)
    assert await client.read_close() == (1008, "CONNECT must come in time")
    client.peer.leave()
    await until(lambda: nobody_is_left(gateway))
    assert (await log.line("refused"))["cause"] == "auth_late"


# The end, and what a client does then.


@pytest.mark.one_loop
async def test_a_drain_lets_the_client_reconnect(client: SocketIoPeer, gateway: Gateway) -> None:
    client.peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    for session in gateway.parts.sessions:
        session.end(Cause.DRAINING)
    assert await client.read() == '42["close",{"code":1001,"reason":"the gateway is shutting down"}]'
    assert await client.read_close() == (1001, "the gateway is shutting down")
    client.send('42["last"]')
    assert await client.studio.read_message() == (TEXT, b'{"type":"last"}'), "it was under way"


@pytest.mark.one_loop
async def test_the_end_of_a_token_does_not(client: SocketIoPeer, gateway: Gateway) -> None:
    for session in gateway.parts.sessions:
        session.end(Cause.TOKEN_ENDED)
    assert json.loads((await client.read())[2:])[1]["code"] == 4401
    assert await client.read() == "41"
    assert (await client.read_close())[0] == 4401


async def test_a_studio_that_is_lost_lets_the_client_reconnect(client: SocketIoPeer) -> None:
    client.studio.reset()
    assert json.loads((await client.read())[2:]) == [
        "close",
        {"code": 1012, "reason": "Studio is gone, reconnect"},
    ]
    assert await client.read_close() == (1012, "Studio is gone, reconnect")


async def test_a_client_that_is_lost_ends_the_session(client: SocketIoPeer, gateway: Gateway) -> None:
    client.peer.reset()
    assert (await client.studio.read_close())[0] == 1001
    client.studio.leave()
    await until(lambda: nobody_is_left(gateway))


# Heartbeats.


async def answer_pings(studio: Peer) -> None:
    """Do what a Studio does whose client is silent."""
    while True:
        frame = await studio.read_frame()
        if frame.opcode == PING:
            studio.send(PONG, frame.payload)


@pytest.mark.one_loop
async def test_a_silent_client_is_pinged_and_stays(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(PING_INTERVAL_SECONDS="0.1", PING_TIMEOUT_SECONDS="0.3")
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    answering = asyncio.create_task(answer_pings(client.studio))
    for _ in range(3):
        assert await client.read_packet() == "2"
        client.send("3")
    (session,) = sessions_of(gateway)
    assert session.closing is None
    answering.cancel()


@pytest.mark.one_loop
async def test_a_busy_client_is_pinged_too(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """Its library gives up without pings, however much it sends."""
    gateway = await start_gateway(PING_INTERVAL_SECONDS="0.2", PING_TIMEOUT_SECONDS="0.4")
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)

    async def keep_busy() -> None:
        while True:
            client.send('42["a"]')
            await asyncio.sleep(0.01)

    busily = asyncio.create_task(keep_busy())
    assert await client.read_packet() == "2"
    busily.cancel()


@pytest.mark.one_loop
async def test_a_client_that_answers_no_ping_is_dead(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, log: GatewayLog
) -> None:
    gateway = await start_gateway(PING_INTERVAL_SECONDS="0.1", PING_TIMEOUT_SECONDS="0.1")
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    answering = asyncio.create_task(answer_pings(client.studio))
    assert await client.read_packet() == "2"
    await client.peer.read_rest()
    answering.cancel()
    client.studio.leave()
    assert (await log.line("closed"))["cause"] == "client_silent"


@pytest.mark.one_loop
async def test_a_ping_of_studio_is_answered_by_the_client(client: SocketIoPeer) -> None:
    client.studio.send(PING, b"studio's")
    assert await client.read_packet() == "2"
    client.send("3")
    assert await client.studio.read_message() == (PONG, b"studio's")


@pytest.mark.one_loop
async def test_a_ping_of_the_websocket_is_answered_here(client: SocketIoPeer) -> None:
    client.peer.send(PING, b"x")
    assert await client.peer.read_message() == (PONG, b"x")


# What a client may not do.


@pytest.mark.one_loop
@pytest.mark.parametrize(
    "packet",
    [
        '42["a"]',
        '431["a"]',
        "45",
        "4",
        "x",
        "7",
        "0{}",
        '40{"token":1}',
        "40[",
        "46-",
        "b!!!",
        "40" + "[" * 5000,
    ],
)
async def test_before_connect_nothing_else_is_allowed(
    gateway: Gateway, dial: Dial, log: GatewayLog, packet: str
) -> None:
    client = await SocketIoPeer.dial(dial, gateway)
    client.send(packet)
    code, words = await client.read_close()
    assert code == 1008
    assert words
    client.peer.leave()
    await until(lambda: nobody_is_left(gateway))
    assert (await log.line("refused"))["cause"] == "auth_late"


@pytest.mark.one_loop
@pytest.mark.parametrize(
    "packet",
    BAD_PACKETS,
)
async def test_a_bad_packet_ends_the_session(client: SocketIoPeer, log: GatewayLog, packet: str) -> None:
    """Packets before it pass; a client that breaks the protocol does not reconnect."""
    client.peer.write(client.peer.frame(TEXT, '42["before"]') + client.peer.frame(TEXT, packet))
    assert await client.studio.read_message() == (TEXT, b'{"type":"before"}')
    assert (await client.studio.read_close())[0] == 1001
    client.studio.send_close(1001)
    assert json.loads((await client.read())[2:])[1]["code"] == 1002
    assert await client.read() == "41"
    code, words = await client.read_close()
    assert code == 1002
    assert words.startswith(BROKE)
    client.peer.send_close(1002)
    assert await client.peer.read_rest() == b""
    assert (await log.line("closed"))["cause"] == "protocol_error"


@pytest.mark.one_loop
@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\x81\x02hi", 1002),  # not masked
        (b"\xf1\x80\0\0\0\0", 1002),  # reserved bits
        (b"\x81\x82\0\0\0\0\xff\xff", 1002),  # not UTF-8
        (b"\x81\xff\0\0\0\0\x7f\xff\xff\xff", 1009),
    ],
)
async def test_bad_frames_end_the_session(
    client: SocketIoPeer, gateway: Gateway, frames: bytes, code: int
) -> None:
    client.peer.write(frames)
    await client.studio.read_close()
    client.studio.send_close(1001)
    assert json.loads((await client.read())[2:])[1]["code"] == code
    assert await client.read() == "41"
    assert (await client.read_close())[0] == code
    client.peer.leave()
    client.studio.leave()
    await until(lambda: nobody_is_left(gateway))


@pytest.mark.one_loop
async def test_a_message_that_is_too_big_ends_the_session(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(MAX_MESSAGE_BYTES="1000")
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    client.send(f'42["a","{"x" * 1000}"]')
    await client.studio.read_close()
    client.studio.send_close(1001)
    assert json.loads((await client.read())[2:])[1]["code"] == 1009
    assert await client.read() == "41"
    assert await client.read_close() == (1009, "message too big")
    client.peer.send_close(1009)
    assert await client.peer.read_rest() == b"", "at once, not after CLOSE_TIMEOUT_SECONDS"


@pytest.mark.one_loop
async def test_packets_before_the_session_are_limited(gateway: Gateway, dial: Dial) -> None:
    client = await SocketIoPeer.dial(dial, gateway)
    for _ in range(MOST_EARLY):
        client.send("40/other,")
        assert (await client.read()).startswith("44/other,")
    client.send("40/other,")
    assert await client.read_close() == (1008, f"{BROKE}too many packets before the client is connected")


@pytest.mark.one_loop
async def test_a_client_that_leaves_while_it_is_admitted(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await SocketIoPeer.dial(dial, gateway)
    client.send(f'40{{"token":"{auth.mint()}"}}')
    asked = await studio.arrival()
    client.send("41")
    client.peer.send(PING, b"x")
    assert await client.peer.read_message() == (PONG, b"x")
    accept(asked)
    assert await asked.read_close() == (1000, "")


@pytest.mark.one_loop
async def test_a_client_that_breaks_the_protocol_while_it_is_admitted(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await SocketIoPeer.dial(dial, gateway)
    client.send(f'40{{"token":"{auth.mint()}"}}')
    asked = await studio.arrival()
    client.send('42["early"]')
    assert (await client.read_close())[0] == 1002
    accept(asked)
    assert (await asked.read_close())[0] == 1002


@pytest.mark.one_loop
async def test_the_rate_of_the_user_holds_a_client_back(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(MESSAGE_RATE_PER_USER="500", MESSAGE_BURST_PER_USER="5")
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    began = asyncio.get_running_loop().time()
    client.peer.write(b"".join(client.peer.frame(TEXT, f'42["a",{number}]') for number in range(300)))
    client.peer.send_close(1000, "bye")
    for number in range(300):
        assert (await client.studio.read_message())[1] == f'{{"type":"a","data":{number}}}'.encode()
    assert asyncio.get_running_loop().time() - began > 0.4
    assert await client.studio.read_close() == (1000, "bye"), "it waits behind them"


@pytest.mark.one_loop
async def test_only_some_packets_are_processed_in_one_turn(
    client: SocketIoPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have to wait for their turn, and none of the packets is lost, not even at the end."""
    turns: list[int] = []
    heard = TranslatedClient.heard

    def hear(self: TranslatedClient, packets: Sequence[Packet | None]) -> None:
        turns.append(len(packets))
        heard(self, packets)

    monkeypatch.setattr(TranslatedClient, "heard", hear)
    frames = [client.peer.frame(TEXT, f'42["a",{number}]') for number in range(1000)]
    client.peer.write(b"".join(frames))
    client.peer.send_close(1000)
    for number in range(1000):
        assert (await client.studio.read_message())[1] == f'{{"type":"a","data":{number}}}'.encode()
    assert await client.studio.read_close() == (1000, "")
    assert len(turns) >= 1000 / MOST_AT_ONCE
    assert max(turns) == MOST_AT_ONCE


@pytest.mark.one_loop
async def test_studios_messages_wait_for_their_turn_too(
    client: SocketIoPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that has not read for a while must not delay all others when it reads again."""
    turns: list[int] = []
    send = WebSocketCarrier.send

    def count(self: WebSocketCarrier, packets: Sequence[Packet]) -> None:
        turns.append(len(packets))
        send(self, packets)

    monkeypatch.setattr(WebSocketCarrier, "send", count)
    messages = [client.studio.frame(TEXT, f'{{"type":"a","data":{number}}}') for number in range(1000)]
    client.studio.write(b"".join(messages))
    client.studio.send_close(1000, "bye")
    for number in range(1000):
        assert await client.read() == f'42["a",{number}]'
    assert await client.read() == '42["close",{"code":1000,"reason":"bye"}]'
    assert await client.read() == "41"
    assert await client.read_close() == (1000, "bye")
    assert max(turns) <= MOST_AT_ONCE
    client.peer.send_close(1000)
    assert await client.peer.read_rest() == b""


@pytest.mark.one_loop
async def test_fragments_and_binary_messages(client: SocketIoPeer) -> None:
    client.peer.send(TEXT, '42["a",', fin=False)
    client.peer.send(PING, b"x")
    client.peer.send(CONT, "1]")
    assert await client.peer.read_message() == (PONG, b"x")
    client.peer.send(TEXT, '451-["a",{"_placeholder":true,"num":0}]')
    client.peer.send(BINARY, b"attached")
    assert await client.read() == '42["error",{"type":"error","error":"binary events are not supported"}]'
    client.studio.send(BINARY, b"\x00\xff")
    assert await client.read() == '451-["message",{"_placeholder":true,"num":0}]'
    assert await client.peer.read_message() == (BINARY, b"\x00\xff")


@pytest.mark.one_loop
async def test_a_client_that_does_not_read_holds_studio_back(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(WRITE_BUFFER_BYTES="1024")
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    (session,) = sessions_of(gateway)
    transport = client.peer.writer.transport
    transport.pause_reading()  # type: ignore[attr-defined]
    text = json.dumps({"type": "a", "data": "x" * 500_000})
    for _ in range(20):
        client.studio.send(TEXT, text)
    await until(lambda: session._backend.held)
    transport.resume_reading()  # type: ignore[attr-defined]
    for _ in range(20):
        assert len(await client.read()) > 500_000


@pytest.mark.one_loop
async def test_switched_off_it_is_not_there(start_gateway: StartGateway, dial: Dial) -> None:
    gateway = await start_gateway(SOCKETIO="off")
    peer = await dial(gateway)
    peer.write(upgrade())
    assert (await peer.read_head()).status == 404


@pytest.mark.one_loop
async def test_an_ended_connection_leaves_nothing_to_the_garbage_collector(
    client: SocketIoPeer, gateway: Gateway
) -> None:
    """As for a plain session: its pauses would delay all others."""
    gc.collect()
    gc.disable()
    try:
        client.send("41")
        assert await client.studio.read_close() == (1000, "")
        client.studio.send_close(1000)
        client.studio.leave()
        await client.peer.read_rest()
        client.peer.leave()
        await until(lambda: nobody_is_left(gateway))
        await asyncio.sleep(0)
        assert [
            each for each in gc.get_objects() if isinstance(each, (TranslatedClient, WebSocketCarrier))
        ] == []
    finally:
        gc.enable()
