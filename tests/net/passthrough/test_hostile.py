"""Long-polling to a Studio that speaks Socket.IO itself, byte by byte: what reaches it, and what does not (spec §1)."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qsl

import pytest
from tests.net.pair import Dial, GatewayLog, StartGateway, nobody_is_left, until
from tests.net.passthrough.passing import (
    TEXT_FIELDS,
    Open,
    open_packet,
    places,
    polled,
    polling,
    request_of,
)
from tests.net.scripted_http import ScriptedHttp
from tests.net.socketio import PollingPeer, problem, upgrade

from memmie_fake_auth import FakeAuth
from memmie_gateway.core.outcomes import Cause
from memmie_harness.conformance.peers import Head

pytestmark = pytest.mark.one_loop


def same(first: Head, other: Head) -> bool:
    """Tell whether two answers differ in nothing but what each answer has of its own."""
    own = ("x-request-id", "date")
    fields = [[field for field in head.fields if field[0].lower() not in own] for head in (first, other)]
    return (first.status, first.body, fields[0]) == (other.status, other.body, fields[1])


async def test_what_reaches_studio(
    start: StartGateway, dial: Dial, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    """Neither a token nor another user, and no `sid` but the one that the gateway has found."""
    gateway = await start(STUDIO_WS_URLS=f"{studio.url}?key=1")
    token = auth.mint("u1")
    client = PollingPeer(dial, gateway, "X-User-ID: u2", f"Cookie: a=1; t={token}")
    peer = await client.begin("GET", query=f"a=1&EIO=4&transport=polling&token={token}&user_id=u2&t=x")
    request = await request_of(studio)
    assert request.head.target == "/ws?key=1&user_id=u1&EIO=4&transport=polling&a=1"
    assert request.head.get("x-user-id") == "u1"
    assert request.head.get("cookie") == "a=1"
    request.answer(open_packet("sid-1"), *TEXT_FIELDS)
    assert (await peer.read_head()).body == open_packet("sid-1")

    for method, body in (("GET", b""), ("POST", b"40")):
        query = f"EIO=4;transport=polling;%73id=sid-1&sid=sid-1&user_id=u2&a=1&token={auth.mint('u2')}"
        peer = await client.begin(method, "X-Real-IP: 1.2.3.4", query=query, body=body)
        request = await request_of(studio)
        assert parse_qsl(request.head.target.partition("?")[2]) == [
            ("key", "1"),
            ("user_id", "u1"),
            ("EIO", "4"),
            ("transport", "polling"),
            ("sid", "sid-1"),
            ("a", "1"),
        ]
        assert (request.head.get("x-user-id"), request.head.get("cookie")) == ("u1", "a=1")
        assert request.head.get("x-real-ip") == "127.0.0.1"
        assert await request.read(len(body)) == body
        request.answer(b"ok", *TEXT_FIELDS, "Set-Cookie: b=2", "Access-Control-Allow-Origin: https://x")
        answer = await peer.read_head()
        assert (answer.status, answer.body, answer.get("set-cookie")) == (200, b"ok", "b=2")
        assert answer.get("access-control-allow-origin") == "*"


async def test_a_sid_of_somebody_else_is_unknown(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog, auth: FakeAuth
) -> None:
    """One that Studio has given on another way, one of a connection that has ended, and a guess look alike."""
    gateway = await start(
        CONNECT_RATE_PER_IP="0.01", CONNECT_BURST_PER_IP="5"
    )  # that of sid-2 does not count
    client = await opened(gateway, "sid-1")
    ended = await opened(gateway, "sid-2", user="u2")
    polled(gateway)[1].end(Cause.MOVED)
    queries = [f"EIO=4&transport=polling&sid={sid}" for sid in ("guess", "sid-2", "given-by-studio-itself")]
    answers = [await client.ask("GET", query=query) for query in queries]
    assert [problem(answer) for answer in answers] == [(400, 1)] * 3
    assert same(answers[0], answers[1])
    assert same(answers[0], answers[2])
    peer = await client._dial(gateway)
    peer.write(upgrade("EIO=4&transport=websocket&sid=guess"))
    assert problem(await peer.read_head()) == (400, 1)
    assert (await client.ask("GET", query=queries[0])).status == 429, "a guess is a connect"
    assert studio._arrived.empty(), "nothing has reached Studio"
    peer, request = await polling(client, studio)  # its own requests are none
    request.answer(b"2", *TEXT_FIELDS)
    assert (await peer.read_head()).body == b"2"
    del ended, auth
    assert "sid-" not in log.getvalue()


@pytest.mark.parametrize(
    ("method", "query", "answer"),
    [
        ("PUT", "EIO=4&transport=polling&sid=sid-1", (400, 2)),
        ("GET", "EIO=4&transport=polling&sid=sid-1&j=0", (400, 3)),
        ("GET", "EIO=4&transport=polling&sid=sid-1&sid=sid-2", (400, 3)),
        ("GET", "EIO=3&transport=polling&sid=sid-1", (400, 5)),
        ("GET", "EIO=4&transport=flash&sid=sid-1", (400, 0)),
        ("GET", "EIO=4&transport=websocket&sid=sid-1", (400, 3)),
        ("POST", "EIO=4&transport=polling", (400, 2)),
    ],
)
async def test_requests_that_are_refused_change_nothing(
    start: StartGateway, opened: Open, method: str, query: str, answer: tuple[int, int]
) -> None:
    gateway = await start()
    client = await opened(gateway)
    assert problem(await client.ask(method, query=query)) == answer
    assert len(polled(gateway)) == 1


async def test_what_opens_nothing(
    start: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedHttp
) -> None:
    gateway = await start(ALLOWED_ORIGINS="https://a")
    bearer = f"Authorization: Bearer {auth.mint()}"
    for extra, status in (
        ((), 401),
        (("Authorization: Bearer no",), 401),
        ((bearer, "Origin: https://b"), 403),
    ):
        assert (await PollingPeer(dial, gateway, *extra).ask("GET")).status == status
    client = PollingPeer(dial, gateway, bearer)
    assert problem(await client.ask("GET", "Content-Length: 1", query=client.query)) == (400, 3)
    assert (await client.ask("GET", query="EIO=4&transport=websocket")).status == 426
    assert studio._arrived.empty()
    page = PollingPeer(dial, gateway, "Origin: https://a", "Access-Control-Request-Method: POST")
    preflight = await page.ask("OPTIONS")
    assert (preflight.status, preflight.get("access-control-allow-origin")) == (204, "https://a")
    assert preflight.get("access-control-allow-credentials") == "true"


async def test_polling_may_be_switched_off(start: StartGateway, dial: Dial, auth: FakeAuth) -> None:
    gateway = await start(POLLING="false", HTTP_ROUTES="")
    assert gateway.parts.proxy is None
    client = PollingPeer(dial, gateway, f"Authorization: Bearer {auth.mint()}")
    assert problem(await client.ask("GET")) == (400, 0)


async def test_every_request_has_the_origin_of_the_first(
    start: StartGateway, opened: Open, studio: ScriptedHttp
) -> None:
    gateway = await start(ALLOWED_ORIGINS="https://a,https://b")
    client = await opened(gateway, "sid-1", "Origin: https://a")
    for origin in ("Origin: https://b", "Origin: https://c", "X-None: 1"):
        client._extra = (client._extra[0], origin)
        assert problem(await client.ask("GET")) == (400, 3)
        assert problem(await client.ask("POST", body=b"40")) == (400, 3)
        peer = await client._dial(gateway)
        peer.write(upgrade("EIO=4&transport=websocket&sid=sid-1", origin))
        assert problem(await peer.read_head()) == (400, 3)
    client._extra = (client._extra[0], "Origin: https://a")
    peer, request = await polling(client, studio)
    request.answer(b"2", *TEXT_FIELDS)
    answer = await peer.read_head()
    assert (answer.status, answer.get("access-control-allow-origin")) == (200, "https://a")


async def test_one_get_and_one_post_at_a_time(
    start: StartGateway, opened: Open, studio: ScriptedHttp
) -> None:
    client = await opened(await start())
    poll, request = await polling(client, studio)
    assert problem(await client.ask("GET")) == (400, 3)
    post = await client.begin("POST", body=b"40")
    posted = await request_of(studio)
    assert problem(await client.ask("POST", body=b"40")) == (400, 3)
    posted.answer(b"ok", *TEXT_FIELDS)
    request.answer(b"40", *TEXT_FIELDS)
    assert ((await post.read_head()).body, (await poll.read_head()).body) == (b"ok", b"40")


@pytest.mark.parametrize(
    ("status", "body", "fields"),
    [
        ("200 OK", b"hello", ()),
        ("200 OK", b"0" + b"x" * 100_000, ()),
        ("200 OK", open_packet("a b"), ()),
        ("200 OK", open_packet("sid-1"), ("Content-Encoding: gzip",)),
        ("201 Created", open_packet("sid-1"), ()),
        ("403 Forbidden", b"no", ()),
        ("500 Internal Server Error", b"", ()),
    ],
)
async def test_an_answer_that_opens_no_connection_passes(
    start: StartGateway,
    dial: Dial,
    auth: FakeAuth,
    studio: ScriptedHttp,
    status: str,
    body: bytes,
    fields: tuple[str, ...],
) -> None:
    gateway = await start()
    client = PollingPeer(dial, gateway, f"Authorization: Bearer {auth.mint()}")
    peer = await client.begin("GET", "Accept-Encoding: gzip")
    request = await request_of(studio)
    assert not request.head.get("accept-encoding")
    request.answer(body, *TEXT_FIELDS, *fields, status=status)
    answer = await peer.read_head()
    assert (answer.status, answer.body) == (int(status[:3]), body)
    await until(lambda: not places(gateway))
    assert not polled(gateway)
    assert problem(await client.ask("GET", query="EIO=4&transport=polling&sid=sid-1")) == (400, 1)


async def test_a_sid_that_is_given_twice_opens_no_second_connection(
    start: StartGateway, opened: Open, dial: Dial, auth: FakeAuth, studio: ScriptedHttp
) -> None:
    gateway = await start()
    await opened(gateway, "sid-1")
    client = PollingPeer(dial, gateway, f"Authorization: Bearer {auth.mint('u2')}")
    peer = await client.begin("GET")
    (await request_of(studio)).answer(open_packet("sid-1"), *TEXT_FIELDS)
    answer = await peer.read_head()
    assert (answer.status, json.loads(answer.body)["code"]) == (502, "studio_broke_off")
    assert (len(polled(gateway)), places(gateway, "u2")) == (1, 0)


async def test_a_client_that_leaves_while_it_opens_leaves_nothing(
    start: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedHttp
) -> None:
    gateway = await start()
    client = PollingPeer(dial, gateway, f"Authorization: Bearer {auth.mint()}")
    peer = await client.begin("GET")
    request = await request_of(studio)
    peer.leave()
    assert await request.read_rest() == b""
    await until(lambda: nobody_is_left(gateway) and not places(gateway))


# What clients send.


async def test_a_body_streams_and_has_a_size(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog
) -> None:
    gateway = await start(MAX_MESSAGE_BYTES="500000")
    client = await opened(gateway)
    body = b"4" + b"x" * 499_000
    peer = await client.begin("POST", body=body[:1000], length=len(body))
    request = await request_of(studio)
    assert await request.read(1000) == body[:1000]
    peer.write(body[1000:])
    assert await request.read(len(body) - 1000) == body[1000:]
    request.answer(b"ok", *TEXT_FIELDS)
    assert (await peer.read_head()).body == b"ok"
    peer = await client.begin("POST", body=b"", length=500_001)
    assert (await peer.read_head()).status == 413
    words = "the request body is larger than 500000 bytes; MAX_MESSAGE_BYTES sets this limit"
    assert (await log.line("refused"))["detail"] == (await log.line("closed"))["error"] == words
    assert (polled(gateway), places(gateway)) == ([], 0)


async def test_packets_count_in_the_message_rate(
    start: StartGateway, opened: Open, studio: ScriptedHttp, log: GatewayLog
) -> None:
    gateway = await start(
        MESSAGE_RATE_PER_USER="50", MESSAGE_BURST_PER_USER="10", MESSAGE_RATE_MAX_DELAY_SECONDS="1"
    )
    client = await opened(gateway)
    began = asyncio.get_running_loop().time()
    peer = await client.begin("POST", body=b"\x1e".join([b"2"] * 20))
    request = await request_of(studio)
    assert await request.read(39) == b"\x1e".join([b"2"] * 20)
    assert asyncio.get_running_loop().time() - began > 0.15, "ten of them have to wait"
    request.answer(b"ok", *TEXT_FIELDS)
    assert (await peer.read_head()).body == b"ok"
    peer = await client.begin("POST", body=b"\x1e".join([b"2"] * 200))
    assert await peer.read_rest() == b""
    line = await log.line("closed")
    assert (line["cause"], line["by"]) == ("message_rate_exceeded", "client")
    assert places(gateway) == 0
