"""How connections over long-polling to a Studio that speaks Socket.IO itself end, or go on over a WebSocket (spec §1)."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.net.pair import Dial, Enter, GatewayLog, StartGateway, nobody_is_left, sessions_of, until
from tests.net.passthrough.passing import (
    TEXT_FIELDS,
    Open,
    begin_upgrade,
    open_packet,
    places,
    polled,
    polling,
    request_of,
)
from tests.net.scripted_http import ScriptedHttp
from tests.net.scripted_studio import accept
from tests.net.socketio import PollingPeer, problem

from memmie_fake_auth import FakeAuth
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.backends.backend import BackendUrl
from memmie_gateway.net.socketio import passthrough
from memmie_harness.conformance.peers import TEXT, upgrade_request

pytestmark = pytest.mark.one_loop


# Ends.


async def test_without_a_get_it_is_lost(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passthrough, "LOOK_SECONDS", 0.01)
    gateway = await start()
    client = await opened(gateway, pingInterval=100, pingTimeout=100)
    peer, request = await polling(client, studio)
    await asyncio.sleep(0.05)  # a GET is under way for some of the time
    request.answer(b"2", *TEXT_FIELDS)
    await peer.read_head()
    line = await log.line("closed")
    assert (line["cause"], line["error"], line["protocol"]) == ("client_gone", "no request came", "socketio")
    assert line["seconds"] > 0.24
    assert problem(await client.ask("GET")) == (400, 1)
    assert not places(gateway)


async def test_a_studio_that_does_not_answer_in_its_own_time(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog
) -> None:
    gateway = await start()
    client = await opened(gateway, pingInterval=100, pingTimeout=100)
    peer, _ = await polling(client, studio)
    assert (await peer.read_head()).status == 504
    assert (await log.line("closed"))["cause"] == "studio_timeout"
    assert not places(gateway)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_error_of_studio_ends_it(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog, method: str
) -> None:
    gateway = await start()
    client = await opened(gateway)
    peer = await client.begin(method, body=b"40" if method == "POST" else b"")
    body = b'{"code":1,"message":"Session ID unknown"}'
    (await request_of(studio)).answer(body, *TEXT_FIELDS, status="400 Bad Request")
    answer = await peer.read_head()
    assert (answer.status, answer.body) == (400, body)
    line = await log.line("closed")
    assert (line["by"], line["cause"], line["code"]) == ("studio", "studio_closed", None)
    assert (places(gateway), polled(gateway)) == (0, [])


async def test_either_side_may_close_it(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog
) -> None:
    gateway = await start()
    client = await opened(gateway)
    poll, _ = await polling(client, studio)
    post = await client.begin("POST", body=b"41\x1e1")
    (await request_of(studio)).answer(b"ok", *TEXT_FIELDS)
    assert (await post.read_head()).body == b"ok"
    answer = await poll.read_head()
    assert (answer.status, answer.body) == (200, b"6"), (
        "a GET that waits is answered, although Studio does not"
    )
    client = await opened(gateway, "sid-2")
    poll, request = await polling(client, studio)
    request.answer(b"42[]\x1e1", *TEXT_FIELDS)
    assert (await poll.read_head()).body == b"42[]\x1e1"
    assert [line["cause"] for line in log.lines("closed")] == ["client_closed", "studio_closed"]
    assert (places(gateway), polled(gateway), log.lines("refused")) == (0, [], [])


async def test_a_studio_that_is_gone(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog
) -> None:
    gateway = await start()
    client = await opened(gateway)
    peer, request = await polling(client, studio)
    await studio.stop()
    request.leave()
    assert (await peer.read_head()).status == 502
    assert (await log.line("closed"))["cause"] == "studio_broke_off"
    assert problem(await client.ask("GET")) == (400, 1)


async def test_a_studio_that_accepts_no_connection(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog
) -> None:
    """No other Studio is asked, because it would not know the `sid`."""
    async with ScriptedHttp() as other:
        gateway = await start()
        client = await opened(gateway)
        gateway.update_backends([BackendUrl.parse(studio.url), BackendUrl.parse(other.url)])
        await until(lambda: all(each.healthy for each in gateway.parts.pool.active))
        await studio.stop()
        answer = await client.ask("POST", body=b"40")
        assert (answer.status, json.loads(answer.body)["code"]) == (503, "studio_failed")
        assert (await log.line("closed"))["cause"] == "studio_failed"
        assert other._arrived.empty()


async def test_what_studio_answers_is_logged_without_the_sid(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog
) -> None:
    gateway = await start()
    client = await opened(gateway)
    peer, request = await polling(client, studio)
    request.write(b"HTTP/1.1 none OK\r\n\r\n")
    assert (await peer.read_head()).status == 502
    assert "status" in (await log.line("refused"))["detail"]
    assert "sid-1" not in log.getvalue()


async def test_it_is_moved_only_between_two_bodies(
    start: StartGateway, opened: Open, studio: ScriptedHttp
) -> None:
    gateway = await start()
    client = await opened(gateway)
    (session,) = gateway.parts.sessions
    movable = [session.between_messages]
    poll, request = await polling(client, studio)
    movable.append(session.between_messages)
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n2")
    await poll.read_until(b"\r\n\r\n2")
    movable.append(session.between_messages)
    request.write(b"2")
    await poll.read_rest()
    movable.append(session.between_messages)
    post = await client.begin("POST", body=b"40")
    await request_of(studio)
    movable.append(session.between_messages)
    post.leave()
    await until(lambda: session.between_messages)
    assert movable == [True, True, False, True, False]


async def test_a_dead_studio_while_another_one_is_healthy(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passthrough, "LOOK_SECONDS", 0.01)
    async with ScriptedHttp() as other:
        gateway = await start(HEALTH_TIMEOUT_SECONDS="0.1")
        await opened(gateway)
        gateway.update_backends([BackendUrl.parse(studio.url), BackendUrl.parse(other.url)])
        await until(lambda: all(each.healthy for each in gateway.parts.pool.active))
        (session,) = polled(gateway)
        while not session.backend.dead:
            session.backend.probed.bad("no answer")
        assert (await log.line("closed"))["cause"] == "studio_unhealthy"


async def test_on_drain_a_get_that_waits_is_told(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog
) -> None:
    gateway = await start()
    client = await opened(gateway)
    peer, _ = await polling(client, studio)
    await gateway.stop()
    answer = await peer.read_head()
    assert (answer.status, answer.get("retry-after")) == (503, "1")
    assert (await log.line("closed"))["cause"] == "shutting_down"


async def test_it_is_described_like_a_session(
    start: StartGateway, opened: Open, enter: Enter, auth: FakeAuth
) -> None:
    """Its fields are written once more, because a function for both would cost plain sessions a call."""
    gateway = await start()
    await opened(gateway)
    await enter(gateway, auth.mint("u2"))
    one, other = [session.describe() for session in gateway.parts.sessions]
    assert list(one) == list(other)


# The upgrade.


async def test_a_websocket_takes_the_place_of_its_connection(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog
) -> None:
    gateway = await start(MAX_CONNECTIONS_PER_USER="1", CONNECT_RATE_PER_IP="0.01", CONNECT_BURST_PER_IP="1")
    client = await opened(gateway)
    websocket = await begin_upgrade(client, gateway)
    upgraded = await studio.arrival()
    assert upgraded.head.target == "/ws?user_id=u1&EIO=4&transport=websocket&sid=sid-1"
    assert upgraded.head.get("x-user-id") == "u1"
    accept(upgraded)
    assert (await websocket.read_head()).status == 101
    websocket.send(TEXT, "2probe")
    assert await upgraded.read_message() == (TEXT, b"2probe")
    assert places(gateway) == 1
    websocket.send_close(1000)
    await upgraded.read_close()
    upgraded.send_close(1000)
    line = await log.line("closed")
    assert (line["protocol"], line["cause"], line["messages_from_client"]) == ("socketio", "client_closed", 1)
    assert (places(gateway), polled(gateway)) == (0, [])
    assert nobody_is_left(gateway)


@pytest.mark.parametrize(("most", "status"), [("1", 503), ("2", 401)])
async def test_it_has_one_place_under_the_maximum_of_all_connections(
    start: StartGateway,
    dial: Dial,
    studio: ScriptedHttp,
    auth: FakeAuth,
    monkeypatch: pytest.MonkeyPatch,
    most: str,
    status: int,
) -> None:
    """Over long-polling, during the upgrade, and over its WebSocket; it had up to four."""
    monkeypatch.setattr(passthrough, "LOOK_SECONDS", 0.01)
    gateway = await start(MAX_CONNECTIONS=most)
    assert gateway.parts.proxy is not None
    requests = gateway.parts.proxy._under_way

    async def knock(under_way: int = 0) -> int:
        """Return how a further client without a token is refused while so many requests are under way: 503 if it is full."""
        await until(lambda: len(requests) == under_way)
        waiting = set(gateway.parts.listener.pending)
        peer = await dial(gateway)
        peer.write(upgrade_request())
        answer = await peer.read_head()
        peer.leave()
        await until(lambda: gateway.parts.listener.pending == waiting)
        return answer.status

    client = PollingPeer(dial, gateway, f"Authorization: Bearer {auth.mint()}")
    opening = await client.begin("GET")
    request = await request_of(studio)
    first = open_packet("sid-1") + b"\x1e"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    request.write(head % (len(first) + 1) + first)
    await until(lambda: bool(polled(gateway)))
    seen = [await knock(1)]
    request.write(b"6")
    await opening.read_head()
    client.open = {"sid": "sid-1"}
    seen.append(await knock())
    poll, request = await polling(client, studio)
    seen.append(await knock(1))
    post = await client.begin("POST", body=b"40")
    posted = await request_of(studio)
    seen.append(await knock(2))
    posted.answer(b"ok", *TEXT_FIELDS)
    await post.read_head()
    post.leave()
    websocket = await begin_upgrade(client, gateway)
    upgraded = await studio.arrival()
    seen.append(await knock(1))
    accept(upgraded)
    await websocket.read_head()
    (session,) = sessions_of(gateway)
    session.slots.suspend()
    session.slots.resume()  # its WebSocket seemed to be dead for a moment
    seen.append(await knock(1))
    request.answer(b"6", *TEXT_FIELDS)
    await poll.read_head()
    seen.append(await knock())
    monkeypatch.setattr(passthrough, "UPGRADED_SECONDS", 0.0)
    await until(lambda: not polled(gateway))
    seen.append(await knock())
    websocket.leave()
    await upgraded.read_close()
    upgraded.send_close(1000)
    await until(lambda: nobody_is_left(gateway))
    assert seen == [status] * 8


async def test_after_a_failed_upgrade_it_goes_on_polling(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog
) -> None:
    gateway = await start()
    client = await opened(gateway)
    poll, request = await polling(client, studio)
    websocket = await begin_upgrade(client, gateway)
    accept(upgraded := await studio.arrival())
    await websocket.read_head()
    assert problem(await (await begin_upgrade(client, gateway)).read_head()) == (400, 3), "there is only one"
    websocket.leave()
    await upgraded.read_close()
    upgraded.send_close(1000)
    await log.line("closed")
    assert places(gateway) == 1
    request.answer(b"2", *TEXT_FIELDS)
    assert (await poll.read_head()).body == b"2"
    polled(gateway)[0].end(Cause.MOVED)
    assert places(gateway) == 0


async def test_studio_may_refuse_the_upgrade(start: StartGateway, opened: Open, studio: ScriptedHttp) -> None:
    gateway = await start()
    client = await opened(gateway)
    websocket = await begin_upgrade(client, gateway)
    (await request_of(studio)).answer(b"no", status="400 Bad Request")
    answer = await websocket.read_head()
    assert (answer.status, answer.body) == (400, b"no")
    assert (places(gateway), len(polled(gateway))) == (1, 1)


async def test_an_end_during_the_upgrade_frees_the_place_with_the_websocket(
    start: StartGateway, opened: Open, studio: ScriptedHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the WebSocket seems to be dead for a moment, it counts once."""
    monkeypatch.setattr(passthrough, "UPGRADED_SECONDS", 0.0)
    monkeypatch.setattr(passthrough, "LOOK_SECONDS", 0.01)
    gateway = await start()
    client = await opened(gateway)
    websocket = await begin_upgrade(client, gateway)
    accept(await studio.arrival())
    await websocket.read_head()
    await until(lambda: not polled(gateway))  # it does not poll any more
    (session,) = gateway.parts.sessions
    assert places(gateway) == 1
    session.slots.suspend()
    assert places(gateway) == 0
    session.slots.resume()
    assert places(gateway) == 1
    websocket.leave()
    await until(lambda: places(gateway) == 0)


async def test_an_end_while_studio_is_asked_for_the_upgrade(
    start: StartGateway, opened: Open, studio: ScriptedHttp
) -> None:
    gateway = await start()
    client = await opened(gateway)
    websocket = await begin_upgrade(client, gateway)
    upgraded = await studio.arrival()
    polled(gateway)[0].end(Cause.TOKEN_ENDED)
    accept(upgraded)
    assert (await websocket.read_head()).status == 400
    assert places(gateway) == 0
