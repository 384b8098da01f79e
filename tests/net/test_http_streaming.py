"""Bodies of forwarded requests and answers: streamed both ways, with back-pressure, and cut for the reasons of a WebSocket."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.net.pair import GatewayLog, StartGateway, later, nobody_is_left, until
from tests.net.scripted_http import HttpPeer, ScriptedHttp, head, request

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.backends.health import Health
from memmie_gateway.core.outcomes import Cause
from memmie_harness.conformance.peers import upgrade_request

DialHttp = Callable[..., Awaitable[HttpPeer]]
KIB = 1024


@pytest.fixture
async def studio() -> AsyncIterator[ScriptedHttp]:
    async with ScriptedHttp() as studio:
        yield studio


@pytest.fixture
async def dial_http(start_gateway: StartGateway) -> AsyncIterator[DialHttp]:
    """`client = await dial_http(gateway)`: a raw client of HTTP that has said nothing yet."""
    del start_gateway  # only so that clients leave before their gateway stops
    clients: list[HttpPeer] = []

    async def dial(gateway: Gateway, *, receive_buffer: int = 0) -> HttpPeer:
        clients.append(await HttpPeer.connect(gateway.port, receive_buffer=receive_buffer))
        return clients[-1]

    yield dial
    for client in clients:
        client.writer.transport.abort()


async def code_of(client: HttpPeer, status: int) -> str:
    """Read a refusal, and return its code."""
    told = await client.read_head()
    assert told.status == status, told
    return str(json.loads(await client.read(int(told.get("content-length"))))["code"])


# Bodies.


async def test_a_body_of_unknown_length_is_streamed_up_and_one_down(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    client = await dial_http(await start_gateway())
    client.write(request("POST", token=auth.mint(), extra=["Transfer-Encoding: chunked"]))
    asked = await studio.request()
    assert asked.head.get("transfer-encoding") == "chunked"
    for part in (b"one", b"two"):
        client.write(b"%x\r\n%b\r\n" % (len(part), part))
        assert await asked.read_chunk() == part, "before the body is complete"
    asked.write(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: x") + b"4\r\ndown\r\n")
    told = await client.read_head()
    assert (told.get("transfer-encoding"), told.get("trailer"), told.get("connection")) == (
        "chunked",
        "",
        "close",
    )
    assert await client.read_chunk() == b"down", "before the request is complete"
    client.write(b"0\r\nx-trailer: up\r\n\r\n")
    assert await asked.read(5) == b"0\r\n\r\n", "trailers are dropped"
    asked.write(b"2\r\n..\r\n0\r\nx: trailer\r\n\r\n")
    assert await client.read_chunks() == b".."
    assert await client.read_rest() == b""


async def test_a_body_of_known_length(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    client = await dial_http(await start_gateway())
    client.write(request("PUT", token=auth.mint(), extra=["Content-Length: 7"]) + b"a body.GET /behind")
    asked = await studio.request()
    assert (asked.head.first_line, asked.head.get("content-length")) == ("PUT /api/x HTTP/1.1", "7")
    assert await asked.read(7) == b"a body."
    asked.answer(b"an answer", "X-Own: 1")
    told = await client.read_head()
    assert (told.get("content-length"), told.get("x-own")) == ("9", "1")
    assert await client.read_rest() == b"an answer"


async def test_a_connection_to_studio_is_used_again(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    gateway = await start_gateway()
    client = await dial_http(gateway)
    client.write(request(token=auth.mint()))
    asked = await studio.request()
    asked.answer(b"1")
    assert (await client.read_rest()).endswith(b"\r\n\r\n1")
    client = await dial_http(gateway)
    client.write(request("POST", target="/api/second", token=auth.mint(), extra=["Content-Length: 1"]) + b"x")
    assert (await asked.read_head()).target == "/api/second"
    assert await asked.read(1) == b"x"
    asked.answer(b"2")
    assert (await client.read_rest()).endswith(b"\r\n\r\n2")


@pytest.mark.parametrize(
    ("method", "answer", "told"),
    [
        ("HEAD", head("HTTP/1.1 200 OK", "Content-Length: 5"), "content-length: 5"),
        ("GET", head("HTTP/1.1 204 No Content"), "http/1.1 204 no content"),
        ("GET", head("HTTP/1.1 304 Not Modified", "ETag: x"), "etag: x"),
        (
            "GET",
            head("HTTP/1.1 103 Early Hints", "Link: x") + head("HTTP/1.1 204 Nothing"),
            "http/1.1 204 no content",
        ),
    ],
)
async def test_answers_without_a_body(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth, method: str, answer: bytes, told: str,
) -> None:  # fmt: skip
    client = await dial_http(await start_gateway())
    client.write(request(method, token=auth.mint()))
    (await studio.request()).write(answer)
    raw = (await client.read_rest()).decode().lower()
    assert told in raw.split("\r\n")
    assert raw.endswith("\r\n\r\n")
    assert raw.count("http/1.1") == 1


async def test_a_compressed_body_stays_as_it_is(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    client = await dial_http(await start_gateway())
    packed = gzip.compress(b"x" * 1000)
    client.write(
        request(
            "POST",
            token=auth.mint(),
            extra=["Accept-Encoding: gzip", "Content-Encoding: gzip", f"Content-Length: {len(packed)}"],
        )
        + packed
    )
    asked = await studio.request()
    assert (asked.head.get("accept-encoding"), asked.head.get("content-encoding")) == ("gzip", "gzip")
    assert await asked.read(len(packed)) == packed
    asked.answer(packed, "Content-Encoding: gzip")
    assert (await client.read_head()).get("content-encoding") == "gzip"
    assert await client.read_rest() == packed


async def test_an_old_client_and_an_old_studio(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    """Neither knows chunks: the end of the connection is the end of the body."""
    client = await dial_http(await start_gateway())
    client.write(request(token=auth.mint(), version="1.0"))
    asked = await studio.request()
    asked.write(head("HTTP/1.0 200 OK") + b"all of it")
    asked.leave()
    raw = await client.read_rest()
    assert b"transfer-encoding" not in raw.lower()
    assert raw.endswith(b"\r\n\r\nall of it")


async def test_the_body_is_asked_for_only_when_studio_is_there(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    gateway = await start_gateway()
    expecting = ["Content-Length: 4", "Expect: 100-continue"]
    client = await dial_http(gateway)
    client.write(request("POST", extra=expecting))
    assert await code_of(client, 401) == "token_missing", "and it was not asked for the body"
    client = await dial_http(gateway)
    client.write(request("POST", token=auth.mint(), extra=expecting))
    asked = await studio.request()
    assert asked.head.get("expect") == ""
    assert await client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.write(b"body")
    assert await asked.read(4) == b"body"
    asked.answer(b"ok")
    assert (await client.read_rest()).endswith(b"ok")
    client = await dial_http(gateway)
    client.write(request("POST", token=auth.mint(), extra=["Expect: a miracle"]))
    assert await code_of(client, 417) == "expectation_failed"


async def test_an_early_answer_ends_the_request(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    gateway = await start_gateway()
    client = await dial_http(gateway)
    client.write(request("POST", token=auth.mint(), extra=["Content-Length: 1000000"]) + b"the beginning")
    asked = await studio.request()
    asked.answer(b"no, thanks", status="413 Too Large")
    assert (await client.read_rest()).endswith(b"no, thanks")
    assert await asked.read_rest() == b"the beginning", "the connection is not used again"
    client.leave()
    await until(lambda: nobody_is_left(gateway))


async def test_a_client_that_reads_slowly_slows_studio_down(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    client = await dial_http(await start_gateway(), receive_buffer=4 * KIB)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    client.write(request(token=auth.mint()))
    asked = await studio.request()
    asked.write(head("HTTP/1.1 200 OK", f"Content-Length: {64 << 20}"))
    sent = await fill(asked)
    assert sent < 16 << 20, "the kernel's buffers, and little more"
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    await client.read_head()
    rest = asyncio.create_task(drain(asked, (64 << 20) - sent))
    left = 64 << 20
    while left:
        left -= len(await asyncio.wait_for(client.reader.read(1 << 20), 10))
    await rest


async def test_a_studio_that_reads_slowly_slows_the_client_down(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    studio.read_ahead = 4 * KIB
    await studio.stop()
    await studio.start()
    client = await dial_http(await start_gateway(HTTP_MAX_BODY_BYTES="0"))
    client.write(request("POST", token=auth.mint(), extra=[f"Content-Length: {64 << 20}"]))
    asked = await studio.request()
    sent = await fill(client)
    assert sent < 32 << 20
    rest = asyncio.create_task(drain(client, (64 << 20) - sent))
    left = 64 << 20
    while left:
        left -= len(await asyncio.wait_for(asked.reader.read(1 << 20), 10))
    await rest
    asked.answer(b"thanks")
    assert (await client.read_rest()).endswith(b"thanks")


async def fill(peer: HttpPeer) -> int:
    """Send until nothing is taken any more; return the number of bytes that were taken."""
    transport, sent = peer.writer.transport, 0
    for _ in range(1000):
        if transport.get_write_buffer_size():
            await asyncio.sleep(0.01)  # the kernel takes the rest, or does not
            if transport.get_write_buffer_size():
                await asyncio.sleep(0.2)
                if transport.get_write_buffer_size():
                    return sent
        peer.write(bytes(256 * KIB))
        sent += 256 * KIB
    return sent


async def drain(peer: HttpPeer, size: int) -> None:
    while size:
        peer.write(bytes(min(size, 256 * KIB)))
        size -= min(size, 256 * KIB)
        await peer.writer.drain()


# Broken connections, and time-outs.


@pytest.mark.parametrize("leave", [HttpPeer.leave, HttpPeer.reset])
@pytest.mark.parametrize("when", ["before the answer", "in the answer", "in the request"])
async def test_a_client_that_leaves_ends_the_request_to_studio(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth, log: GatewayLog,
    leave: Callable[[HttpPeer], None], when: str,
) -> None:  # fmt: skip
    gateway = await start_gateway()
    client = await dial_http(gateway)
    length = 5 if when == "in the request" else 0
    client.write(request("POST", token=auth.mint(), extra=[f"Content-Length: {length}"]))
    asked = await studio.request()
    if when == "in the answer":
        asked.write(head("HTTP/1.1 200 OK", "Content-Length: 10") + b"half")
        await client.read_until(b"half")
    leave(client)
    assert await asked.read_rest() == b""
    await until(lambda: nobody_is_left(gateway))
    line = await log.line("request" if when == "in the answer" else "refused")
    assert (line["cause"], line["by"]) == ("client_left", "client")


async def test_studio_breaks_off(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    gateway = await start_gateway()
    (backend,) = gateway.parts.pool.active
    client = await dial_http(gateway)
    client.write(request(token=auth.mint()))
    (await studio.request()).reset()
    assert await code_of(client, 502) == "studio_broke_off"
    assert backend.failures == 1, "it is evidence against Studio"
    client = await dial_http(gateway)
    client.write(request(token=auth.mint()))
    asked = await studio.request()
    asked.write(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + b"4\r\nhalf\r\n")
    await client.read_until(b"half\r\n")
    asked.leave()
    assert await client.read_rest() == b"", "without the last chunk"
    assert backend.failures >= 1


@pytest.mark.parametrize(
    "answer",
    [
        b"NOT HTTP\r\n\r\n",
        head("HTTP/1.1 200 OK", "Content-Length: 1", "Content-Length: 2") + b"xx",
        head("HTTP/1.1 200 OK", "Transfer-Encoding: gzip"),
        head("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"),
        head("HTTP/1.1 200 OK", "X: " + "x" * 64 * KIB),
    ],
)
async def test_an_answer_that_cannot_be_used(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth, answer: bytes
) -> None:
    client = await dial_http(await start_gateway())
    client.write(request(token=auth.mint()))
    (await studio.request()).write(answer)
    assert await code_of(client, 502) == "studio_broke_off"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_is_sent_once(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth, method: str
) -> None:
    """Also on a connection that was used before, on which Studio may have closed it meanwhile."""
    gateway = await start_gateway()
    client = await dial_http(gateway)
    client.write(request(token=auth.mint()))
    asked = await studio.request()
    asked.answer(b"1")
    await client.read_rest()
    client = await dial_http(gateway)
    client.write(request(method, target="/api/second", token=auth.mint()))
    assert (await asked.read_head()).target == "/api/second"
    asked.reset()
    assert await code_of(client, 502) == "studio_broke_off"
    assert studio._arrived.empty()


async def test_time_outs(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth, log: GatewayLog
) -> None:
    gateway = await start_gateway(HTTP_IDLE_SECONDS="0.3", HTTP_BODY_SECONDS="0.6", HTTP_TOTAL_SECONDS="1")
    client = await dial_http(gateway)
    client.write(request(token=auth.mint()))
    asked = await studio.request()
    assert await code_of(client, 504) == "studio_timeout"
    assert await asked.read_rest() == b""

    client = await dial_http(gateway)
    client.write(request("POST", token=auth.mint(), extra=["Content-Length: 9"]) + b"half")
    asked = await studio.request()
    assert await code_of(client, 408) == "request_timeout"

    client = await dial_http(gateway)
    client.write(request("POST", token=auth.mint(), extra=["Content-Length: 999"]))
    await studio.request()
    slow = asyncio.create_task(drip(client))
    assert await code_of(client, 408) == "request_timeout", "a byte now and then does not help"
    await slow

    client = await dial_http(gateway)
    client.write(request(token=auth.mint()))
    asked = await studio.request()
    asked.write(head("HTTP/1.1 200 OK", "Content-Length: 999"))
    await client.read_head()
    slow = asyncio.create_task(drip(asked))
    assert len(await client.read_rest()) < 60, "nor in the answer"
    await slow
    (line,) = log.lines("request")
    assert (line["cause"], line["status"]) == ("studio_timeout", 200)
    await until(lambda: nobody_is_left(gateway))


async def drip(peer: HttpPeer) -> None:
    """Send a byte now and then, until the other end leaves."""
    for _ in range(100):
        if peer.writer.transport.is_closing():
            return
        peer.write(b"x")
        await asyncio.sleep(0.05)


# Long answers; `test_event_streams.py` has more about streams of events.


async def streaming(
    gateway: Gateway, dial_http: DialHttp, studio: ScriptedHttp, token: str
) -> tuple[HttpPeer, HttpPeer]:
    """Return a client and Studio in the middle of a stream, which is a live connection."""
    assert gateway.parts.proxy is not None
    before = len(gateway.parts.proxy.live)
    client = await dial_http(gateway)
    client.write(request(target="/api/events", token=token))
    asked = await studio.request()
    asked.write(head("HTTP/1.1 200 OK", "Content-Type: text/event-stream"))
    await client.read_head()
    await until(lambda: len(gateway.parts.proxy.live) > before)  # type: ignore[union-attr]
    return client, asked


async def test_a_live_response_counts_as_a_connection(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth, log: GatewayLog
) -> None:
    gateway = await start_gateway(
        HTTP_LIVE_SECONDS="0.05",
        MAX_CONNECTIONS_PER_USER="1",
        MAX_CONNECTIONS_PER_IP="2",
        HTTP_CONNECTIONS_PER_IP="1",
    )
    _, first = await streaming(gateway, dial_http, studio, auth.mint("u1"))
    assert "gateway_http_live_responses" in await metrics(gateway)
    second = await dial_http(gateway)
    second.write(request(target="/api/events", token=auth.mint("u1")))
    asked = await studio.request()
    asked.write(head("HTTP/1.1 200 OK", "Content-Type: text/event-stream"))
    await second.read_head()
    assert await second.read_rest() == b"", "the user has no place for a second one"
    assert (await log.line("request"))["cause"] == "too_many_connections_of_user"
    await streaming(gateway, dial_http, studio, auth.mint("u2"))
    third = await dial_http(gateway)
    third.write(request(target="/api/events", token=auth.mint("u3")))
    asked = await studio.request()
    asked.write(head("HTTP/1.1 200 OK", "Content-Type: text/event-stream"))
    await third.read_head()
    assert await third.read_rest() == b"", "nor the address for a third one"
    first.leave()
    await until(lambda: len(gateway.parts.sessions) == 1)
    await streaming(gateway, dial_http, studio, auth.mint("u1"))


async def metrics(gateway: Gateway) -> str:
    peer = await HttpPeer.connect(gateway.port)
    peer.write(request(target="/metrics"))
    text = (await peer.read_rest()).decode()
    peer.leave()
    return text


async def test_a_live_response_is_cut_at_the_end_of_its_token(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth, log: GatewayLog
) -> None:
    gateway = await start_gateway(HTTP_LIVE_SECONDS="0.05")
    client, asked = await streaming(gateway, dial_http, studio, auth.mint("u1", ttl_seconds=60))
    later(gateway, 61)
    assert await client.read_rest() == b""
    assert await asked.read_rest() == b"", "Studio is told"
    line = await log.line("request")
    assert (line["cause"], line["live"], line["status"]) == ("token_ended", True, 200)
    await until(lambda: nobody_is_left(gateway))


async def test_a_live_response_is_cut_when_auth_refuses_its_token_again(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    gateway = await start_gateway(HTTP_LIVE_SECONDS="0.05", AUTH_RECHECK_SECONDS="1")
    token = auth.mint("u1")
    client, _ = await streaming(gateway, dial_http, studio, token)
    digest = next(iter(gateway.parts.sessions)).info.identity.digest
    gateway.parts.leases.revoke(digest)
    assert await client.read_rest() == b""


async def test_a_live_response_is_cut_by_a_drain_and_a_short_one_is_not(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    gateway = await start_gateway(HTTP_LIVE_SECONDS="0.05", CLOSE_TIMEOUT_SECONDS="5")
    client, _ = await streaming(gateway, dial_http, studio, auth.mint("u1"))
    short = await dial_http(gateway)
    short.write(request(token=auth.mint("u2")))
    asked = await studio.request()
    stopping = asyncio.create_task(gateway.stop(0.5))
    assert await client.read_rest() == b""
    asked.answer(b"in time")
    assert (await short.read_rest()).endswith(b"in time")
    await stopping


async def test_what_is_not_answered_at_the_end_of_a_drain_gets_503(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    gateway = await start_gateway()
    client = await dial_http(gateway)
    client.write(request(token=auth.mint()))
    await studio.request()
    await gateway.stop(0.05)
    assert await code_of(client, 503) == "shutting_down"


async def test_a_live_response_is_cut_when_its_studio_is_dead_and_silent(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth, log: GatewayLog
) -> None:
    async with ScriptedHttp() as other:
        gateway = await start_gateway(
            STUDIO_WS_URLS=f"{studio.url},{other.url}", HTTP_LIVE_SECONDS="0.05", HEALTH_TIMEOUT_SECONDS="0.3", HEALTH_FALL="1",
            LB_STRATEGY="least_connections", HEALTH_INTERVAL_SECONDS="0.1", HEALTH_RECOVERY_SECONDS="0.1",
        )  # fmt: skip
        assert gateway.parts.proxy is not None
        client = await dial_http(gateway)
        client.write(request(target="/api/events", token=auth.mint()))
        asking = [asyncio.create_task(each.request()) for each in (studio, other)]
        done, pending = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        dead = studio if asking[0] in done else other
        (await done.pop()).write(head("HTTP/1.1 200 OK", "Content-Type: text/event-stream"))
        await client.read_head()
        dead.answers_health_checks = False
        backend = next(each for each in gateway.parts.pool if each.url == dead.url)
        await until(lambda: backend.tracker.state is Health.UNHEALTHY)
        assert await client.read_rest() == b""
        assert (await log.line("request"))["cause"] == Cause.BACKEND_UNHEALTHY.ending.code


async def test_a_users_websocket_follows_the_request_under_way(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    async with ScriptedHttp() as other:
        gateway = await start_gateway(STUDIO_WS_URLS=f"{studio.url},{other.url}", LB_STRATEGY="round_robin")
        for number in range(3):
            token = auth.mint(f"u{number}")
            client, page = await dial_http(gateway), await dial_http(gateway)
            client.write(request(token=token))
            asked = {asyncio.create_task(each.request()): each for each in (studio, other)}
            done, pending = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            pending.pop().cancel()
            page.write(upgrade_request(token))
            assert (await asked[done.pop()].request()).head.target.startswith("/ws")
            client.leave()
            page.leave()


async def test_a_request_under_way_counts_for_the_maximum_once(
    start_gateway: StartGateway, dial_http: DialHttp, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS="1", HTTP_LIVE_SECONDS="0.05")
    client = await dial_http(gateway)
    client.write(request(token=auth.mint()))
    asked = await studio.request()
    for live in (False, True):  # a live response counts as a connection, and no more as a request under way
        if live:
            asked.write(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + b"1\r\n.\r\n")
            await until(lambda: len(gateway.parts.sessions) == 1)
        another = await dial_http(gateway)
        another.write(upgrade_request(auth.mint()))
        assert await code_of(another, 503) == "overloaded"
        another.leave()
        await until(lambda: not gateway.parts.listener.pending)
    client.leave()
    await until(lambda: nobody_is_left(gateway))
    asked.leave()
    last = await dial_http(gateway)
    last.write(upgrade_request(auth.mint()))
    assert (await studio.request()).head.get("upgrade") == "websocket"
