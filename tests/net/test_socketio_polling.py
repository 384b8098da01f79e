"""Clients that speak Socket.IO over HTTP long-polling, and their upgrade to a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from tests.net.pair import Dial, GatewayLog, StartGateway, nobody_is_left, sessions_of, until
from tests.net.scripted_studio import ScriptedStudio, accept
from tests.net.socketio import PollingPeer, SocketIoPeer, problem, upgrade

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.outcomes import Cause
from memmie_harness.conformance.peers import TEXT, upgrade_request


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@pytest.fixture
async def client(gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio) -> PollingPeer:
    """A client that is connected."""
    return await (await PollingPeer.dial(dial, gateway)).connect(auth.mint("u1"), studio)


def polling(gateway: Gateway) -> int:
    """Return the number of clients that poll."""
    assert gateway.parts.socketio is not None
    return len(gateway.parts.socketio._polling)


async def test_events_pass_both_ways(client: PollingPeer) -> None:
    assert client.open["upgrades"] == ["websocket"]
    assert await client.post('42["a",1]', '427["b"]') == "ok"
    assert await client.studio.read_message() == (TEXT, b'{"type":"a","data":1}')
    asked = json.loads((await client.studio.read_message())[1])
    client.studio.send(TEXT, '{"type":"c","data":"\u00e9"}')
    client.studio.send(TEXT, json.dumps({"id": asked["id"], "type": "ack"}))
    assert await client.read() == '42["c","\u00e9"]'
    assert await client.read() == f"437[{json.dumps({'id': asked['id'], 'type': 'ack'})}]"


async def test_a_poll_waits_for_a_packet(client: PollingPeer) -> None:
    poll = await client.begin("GET")
    client.studio.send(TEXT, '{"type":"a"}')
    assert (await poll.read_head()).body == b'42["a"]'
    assert "text/plain" in poll.head.get("content-type")


async def test_a_poll_that_is_given_up_loses_nothing(client: PollingPeer, gateway: Gateway) -> None:
    (carrier,) = gateway.parts.socketio._polling.values()  # type: ignore[union-attr]
    poll = await client.begin("GET")
    await until(lambda: carrier._poll is not None)
    poll.leave()
    await until(lambda: carrier._poll is None)
    client.studio.send(TEXT, '{"type":"a"}')
    assert await client.read() == '42["a"]'


async def test_the_upgrade_goes_on_where_polling_ended(client: PollingPeer, gateway: Gateway) -> None:
    poll = await client.begin("GET")
    peer = await client.upgrade()
    after = SocketIoPeer(peer)
    after.send("2probe")
    assert await after.read_packet() == "3probe"
    assert (await poll.read_head()).body == b"6", "the poll is released"
    client.studio.send(TEXT, '{"type":"waits"}')
    await until(lambda: bool(next(iter(gateway.parts.socketio._polling.values()))._queue))  # type: ignore[union-attr]
    peer.write(peer.frame(TEXT, "5") + peer.frame(TEXT, '42["behind"]'))
    assert await after.read() == '42["waits"]'
    assert await client.studio.read_message() == (TEXT, b'{"type":"behind"}')
    assert polling(gateway) == 0
    assert problem(await client.ask("GET")) == (400, 1), "its sid is not known any more"


async def test_an_end_during_the_upgrade_is_told_over_the_websocket(
    client: PollingPeer, gateway: Gateway
) -> None:
    """socket.io-client has paused its polling, and would wait for a ping in vain."""
    peer = await client.upgrade()
    peer.send(TEXT, "2probe")
    assert await peer.read_message() == (TEXT, b"3probe")
    for session in gateway.parts.sessions:
        session.end(Cause.DRAINING)
    told = '42["close",{"code":1001,"reason":"the gateway is shutting down"}]'
    assert await client.get() == [told]
    peer.send(TEXT, "5")
    assert await peer.read_close() == (1001, "the gateway is shutting down")


async def test_an_end_is_told_after_an_upgrade_that_fails(client: PollingPeer, gateway: Gateway) -> None:
    peer = await client.upgrade()
    peer.send(TEXT, "2probe")
    assert await peer.read_message() == (TEXT, b"3probe")
    for session in gateway.parts.sessions:
        session.end(Cause.DRAINING)
    assert len(await client.get()) == 1
    peer.leave()
    await until(lambda: not polling(gateway))
    assert problem(await client.ask("GET")) == (400, 1)


async def test_a_poll_behind_the_probe_is_released_too(client: PollingPeer) -> None:
    peer = await client.upgrade()
    peer.send(TEXT, "2probe")
    assert await peer.read_message() == (TEXT, b"3probe")
    assert await client.get() == ["6"]


async def test_an_upgrade_that_fails_changes_nothing(client: PollingPeer) -> None:
    peer = await client.upgrade()
    peer.send(TEXT, "2probe")
    assert await peer.read_message() == (TEXT, b"3probe")
    peer.leave()
    client.studio.send(TEXT, '{"type":"a"}')
    packet = await client.read()
    assert (packet if packet != "6" else await client.read()) == '42["a"]'
    again = await client.begin("GET", query=client.query.replace("polling", "websocket"))
    assert problem(await again.read_head()) == (400, 3), "there is only one"


@pytest.mark.parametrize("words", ["5", "2", '42["a"]', "2probe2"])
async def test_what_is_not_an_upgrade_ends_it(client: PollingPeer, words: str) -> None:
    peer = await client.upgrade()
    peer.send(TEXT, words)
    assert await peer.read_close() == (1002, "this is not an upgrade")
    assert await client.post('42["a"]') == "ok"
    assert await client.studio.read_message() == (TEXT, b'{"type":"a"}')


async def test_a_client_that_is_refused_learns_why_before_the_end(gateway: Gateway, dial: Dial) -> None:
    client = await PollingPeer.dial(dial, gateway)
    await client.post('40{"token":"wrong"}')
    (packet,) = await client.get()
    assert json.loads(packet[2:])["code"] == "token_invalid"
    assert await client.get() == ["1"], "a client forgets what comes together with CLOSE"
    assert (polling(gateway), nobody_is_left(gateway)) == (0, True)


async def test_the_end_of_a_session(client: PollingPeer, gateway: Gateway) -> None:
    client.studio.send_close(4000, "enough")
    assert await client.read() == '42["close",{"code":4000,"reason":"enough"}]'
    assert await client.read() == "41"
    assert await client.read() == "1"
    assert await client.studio.read_close() == (4000, "enough")
    client.studio.leave()
    await until(lambda: nobody_is_left(gateway) and not polling(gateway))


async def test_a_client_that_is_to_reconnect_gets_an_error(client: PollingPeer, gateway: Gateway) -> None:
    """After CLOSE, not every library reconnects."""
    for session in gateway.parts.sessions:
        session.end(Cause.DRAINING)
    assert await client.get() == ['42["close",{"code":1001,"reason":"the gateway is shutting down"}]']
    assert problem(await client.ask("GET")) == (400, 1)


@pytest.mark.parametrize("packet", ["41", "1"])
async def test_the_client_leaves(client: PollingPeer, gateway: Gateway, packet: str) -> None:
    poll = await client.begin("GET")
    await client.post(packet)
    assert await client.studio.read_close() == (1000, "")
    client.studio.send_close(1000)
    client.studio.leave()
    assert (await poll.read_head()).body == b"1"
    await until(lambda: nobody_is_left(gateway) and not polling(gateway))


# What only one may do at a time.


@pytest.mark.one_loop
async def test_a_second_poll_is_refused(client: PollingPeer, gateway: Gateway) -> None:
    (carrier,) = gateway.parts.socketio._polling.values()  # type: ignore[union-attr]
    poll = await client.begin("GET")
    await until(lambda: carrier._poll is not None)
    assert problem(await client.ask("GET")) == (400, 3)
    client.studio.send(TEXT, '{"type":"a"}')
    assert (await poll.read_head()).body == b'42["a"]', "the first one goes on"


@pytest.mark.one_loop
async def test_a_second_post_is_refused(client: PollingPeer, gateway: Gateway) -> None:
    (carrier,) = gateway.parts.socketio._polling.values()  # type: ignore[union-attr]
    slow = await client.begin("POST", body=b'42["a', length=7)
    await until(lambda: carrier._reading is not None)
    assert problem(await client.ask("POST", body=b'42["b"]')) == (400, 3)
    slow.write(b'"]')
    assert (await slow.read_head()).body == b"ok"
    assert await client.studio.read_message() == (TEXT, b'{"type":"a"}')


# Sids, origins and versions.


@pytest.mark.one_loop
async def test_a_sid_that_is_not_known_counts_as_a_connect(start_gateway: StartGateway, dial: Dial) -> None:
    gateway = await start_gateway(CONNECT_RATE_PER_IP="0.01", CONNECT_BURST_PER_IP="3")
    client = PollingPeer(dial, gateway)
    for _ in range(3):
        assert problem(await client.ask("GET", query="EIO=4&transport=polling&sid=guessed")) == (400, 1)
    assert (await client.ask("GET", query="EIO=4&transport=polling&sid=guessed")).status == 429


@pytest.mark.one_loop
async def test_late_requests_of_a_client_that_was_refused_do_not_count(
    start_gateway: StartGateway, dial: Dial, log: GatewayLog
) -> None:
    gateway = await start_gateway(CONNECT_RATE_PER_IP="0.01", CONNECT_BURST_PER_IP="2")
    client = await PollingPeer.dial(dial, gateway)
    await client.post('40{"token":"wrong"}')
    assert [len(await client.get()) for _ in range(2)] == [1, 1], "CONNECT_ERROR and CLOSE"
    for method in ("GET", "POST"):
        assert problem(await client.ask(method, body=b"1" * (method == "POST"))) == (400, 1)
    assert [line["cause"] for line in log.lines("refused")] == ["token_invalid"]
    assert problem(await client.ask("GET")) == (400, 1), "this one counts"
    assert (await client.ask("GET")).status == 429


@pytest.mark.one_loop
async def test_a_connection_counts_once(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(
        CONNECT_RATE_PER_IP="0.01", CONNECT_BURST_PER_IP="2", MAX_CONNECTIONS_PER_IP="1"
    )
    client = await (await PollingPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    for _ in range(5):
        await client.post('42["a"]')
    assert (await PollingPeer(dial, gateway).ask("GET", "Origin: https://a")).status == 429
    await client.go_on()


@pytest.mark.one_loop
async def test_every_request_has_the_origin_of_the_first(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await (await PollingPeer.dial(dial, gateway, "Origin: https://a")).connect(auth.mint(), studio)
    thief = PollingPeer(dial, gateway, "Origin: https://b")
    thief.open = client.open
    assert problem(await thief.ask("GET")) == (400, 3)
    assert problem(await thief.ask("POST", body=b'42["a"]')) == (400, 3)
    assert problem(await thief.ask("GET", query=client.query.replace("polling", "websocket"))) == (400, 3)
    thief._extra = ()
    assert problem(await thief.ask("GET")) == (400, 3)
    assert await client.post('42["mine"]') == "ok"
    assert await client.studio.read_message() == (TEXT, b'{"type":"mine"}')


@pytest.mark.one_loop
async def test_pages_of_other_origins(start_gateway: StartGateway, dial: Dial) -> None:
    gateway = await start_gateway(ALLOWED_ORIGINS="https://a")
    answer = await PollingPeer(dial, gateway, "Origin: https://a").ask("GET")
    assert answer.get("access-control-allow-origin") == "https://a"
    assert answer.get("access-control-allow-credentials") == "true"
    answer = await PollingPeer(dial, gateway, "Origin: https://b").ask("GET")
    assert (answer.status, answer.get("access-control-allow-origin")) == (403, "")
    answer = await PollingPeer(dial, gateway, "Origin: https://a").ask("OPTIONS")
    assert (answer.status, answer.get("access-control-allow-headers")) == (204, "authorization, content-type")
    assert (await PollingPeer(dial, gateway, "Origin: https://b").ask("OPTIONS")).status == 403
    answer = await PollingPeer(dial, gateway, "Origin: https://a").ask("GET", query="EIO=3&transport=polling")
    assert answer.get("access-control-allow-origin") == "https://a", "a page can read its error"


@pytest.mark.one_loop
@pytest.mark.parametrize(
    ("method", "query", "code"),
    [
        ("GET", "EIO=3&transport=polling", 5),
        ("GET", "EIO=4&transport=flashsocket", 0),
        ("GET", "EIO=4&transport=polling&j=0", 3),
        ("POST", "EIO=4&transport=polling", 2),
        ("DELETE", "EIO=4&transport=polling", 2),
    ],
)
async def test_the_errors_of_the_protocol(
    gateway: Gateway, dial: Dial, log: GatewayLog, method: str, query: str, code: int
) -> None:
    assert problem(await PollingPeer(dial, gateway).ask(method, query=query)) == (400, code)
    assert (await log.line("refused"))["cause"] == "bad_engine_io"


@pytest.mark.one_loop
async def test_polling_may_be_switched_off(start_gateway: StartGateway, dial: Dial) -> None:
    gateway = await start_gateway(POLLING="false")
    assert problem(await PollingPeer(dial, gateway).ask("GET")) == (400, 0)
    client = await SocketIoPeer.dial(dial, gateway)
    assert client.open["upgrades"] == []


# What is held for ever by nobody.


@pytest.mark.one_loop
async def test_a_client_that_never_connects_ends(
    start_gateway: StartGateway, dial: Dial, log: GatewayLog
) -> None:
    gateway = await start_gateway(FIRST_MESSAGE_SECONDS="0.05", MAX_CONNECTIONS_PER_IP="1")
    client = await PollingPeer.dial(dial, gateway)
    assert (await log.line("refused"))["cause"] == "auth_late"
    await until(lambda: not polling(gateway))
    assert problem(await client.ask("GET")) == (400, 1)
    await PollingPeer.dial(dial, gateway)


@pytest.mark.one_loop
async def test_connect_comes_in_the_turn_in_which_its_time_is_over(
    gateway: Gateway, dial: Dial, log: GatewayLog
) -> None:
    """Its body is complete before the opening is cancelled, and is processed before the opening notices this."""
    client = await PollingPeer.dial(dial, gateway)
    post = await client.begin("POST", body=b"4", length=2)
    assert gateway.parts.socketio is not None
    (carrier,) = gateway.parts.socketio._polling.values()
    (opening,) = gateway.parts.socketio._openings
    await until(lambda: carrier._reading is not None)
    assert carrier._reading is not None
    reader = carrier._reading.transport.get_protocol()
    assert isinstance(reader, asyncio.Protocol)
    reader.data_received(b"0")
    opening.cancel()
    assert (await post.read_head()).body == b"ok"
    assert (await log.line("refused"))["cause"] == "shutting_down"
    assert not log.lines("library")


async def test_a_client_that_is_not_connected_yet_counts_for_the_maximum(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(FIRST_MESSAGE_SECONDS="1", MAX_CONNECTIONS="1")
    await PollingPeer.dial(dial, gateway)
    another = await dial(gateway)
    another.write(upgrade_request(auth.mint()))
    assert json.loads((await another.read_head()).body)["code"] == "overloaded"
    another.leave()
    await until(lambda: not polling(gateway) and not gateway.parts.listener.pending)
    last = await dial(gateway)
    last.write(upgrade_request(auth.mint()))
    accept(await studio.arrival())
    assert (await last.read_head()).status == 101


@pytest.mark.one_loop
async def test_a_client_that_polls_no_more_ends(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(PING_INTERVAL_SECONDS="0.1", PING_TIMEOUT_SECONDS="0.1")
    client = await (await PollingPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    await until(lambda: not polling(gateway))
    client.studio.leave()
    await until(lambda: nobody_is_left(gateway))


@pytest.mark.one_loop
@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"\x1e", 400), (b"4\xff", 400), (b"3\x1e" * 5000 + b"3", 400), (b"x" * 20_000, 413)],
)
async def test_bad_bodies_are_refused(
    start_gateway: StartGateway,
    dial: Dial,
    auth: FakeAuth,
    studio: ScriptedStudio,
    body: bytes,
    status: int,
) -> None:
    gateway = await start_gateway(MAX_MESSAGE_BYTES="2000")
    client = await (await PollingPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    assert (await client.ask("POST", body=body)).status == status


@pytest.mark.one_loop
async def test_what_is_under_way_ends_with_the_session(client: PollingPeer, gateway: Gateway) -> None:
    poll = await client.begin("GET")
    post = await client.begin("POST", body=b"4", length=7)
    probe = await client.upgrade()
    (carrier,) = gateway.parts.socketio._polling.values()  # type: ignore[union-attr]
    await until(lambda: None not in (carrier._reading, carrier._poll))
    for session in gateway.parts.sessions:
        session.abort()
    for peer in (poll, post, probe):
        with contextlib.suppress(ConnectionError):
            assert await peer.read_rest() == b""
    client.studio.leave()
    await until(lambda: nobody_is_left(gateway) and not polling(gateway))


@pytest.mark.one_loop
async def test_a_slow_body_is_refused(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(HEAD_SECONDS="0.1")
    client = await (await PollingPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    slow = await client.begin("POST", body=b"4", length=7)
    assert (await slow.read_head()).status == 408
    assert await client.post('42["a"]') == "ok"


@pytest.mark.one_loop
async def test_messages_count_in_the_rate_of_the_user(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """A POST is answered when its packets were accepted, so the client is slowed down."""
    gateway = await start_gateway(MESSAGE_RATE_PER_USER="50", MESSAGE_BURST_PER_USER="5")
    client = await (await PollingPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    began = asyncio.get_running_loop().time()
    await client.post(*(f'42["a",{number}]' for number in range(30)))
    assert asyncio.get_running_loop().time() - began > 0.2
    for number in range(30):
        assert (await client.studio.read_message())[1] == f'{{"type":"a","data":{number}}}'.encode()


@pytest.mark.one_loop
async def test_a_full_queue_holds_studio_back(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(WRITE_BUFFER_BYTES="1024")
    client = await (await PollingPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    (session,) = sessions_of(gateway)
    text = json.dumps({"type": "a", "data": "x" * 2000})
    client.studio.send(TEXT, text)
    await until(lambda: session._backend.held)
    assert json.loads((await client.read())[2:])[1] == "x" * 2000
    await until(lambda: not session._backend.held)


@pytest.mark.one_loop
async def test_no_sid_is_logged_or_told(client: PollingPeer, gateway: Gateway, log: GatewayLog) -> None:
    sid = client.open["sid"]
    answer = await client.ask("GET", query=client.query + "&sid=other")
    assert problem(answer) == (400, 3)
    assert sid not in log.getvalue()
    assert sid not in repr(gateway.parts.socketio)
    assert sid not in str(client.studio.head)
    assert "transport" not in client.studio.head.target


@pytest.mark.one_loop
async def test_the_socket_of_an_upgrade_needs_a_handshake(client: PollingPeer) -> None:
    peer = await client._dial(client._gateway)
    peer.write(upgrade(client.query.replace("polling", "websocket")).replace(b"Version: 13", b"Version: 12"))
    assert problem(await peer.read_head()) == (400, 3)


@pytest.mark.one_loop
@pytest.mark.parametrize("hosts", ["", "Host: a\r\nHost: b\r\n", "Host: a/b\r\n"])
async def test_an_open_needs_one_host(gateway: Gateway, dial: Dial, hosts: str) -> None:
    """It is sent to Studio."""
    peer = await dial(gateway)
    peer.write(f"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n{hosts}\r\n".encode())
    assert (await peer.read_head()).status == 400
    assert json.loads(peer.head.body)["code"] == "bad_request"
