"""Hostile clients of the HTTP routes: smuggling, traversal, slow and huge bodies. Nothing reaches Studio that should not.

`HTTP_UPLOAD_MIB` is the size of the large upload.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from tests.net.pair import GatewayLog, StartGateway, nobody_is_left, until
from tests.net.scripted_http import HttpPeer, ScriptedHttp, head, request

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway

MIB = 1 << 20

UPLOAD_MIB: Final = int(os.environ.get("HTTP_UPLOAD_MIB", "128"))
"""Size of the upload that must need no memory."""


@pytest.fixture
async def studio() -> AsyncIterator[ScriptedHttp]:
    async with ScriptedHttp() as studio:
        yield studio


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


async def said(gateway: Gateway, data: bytes) -> tuple[int, str]:
    """Send bytes, and return the status and the code of the refusal."""
    client = await HttpPeer.connect(gateway.port)
    client.write(data)
    raw = await client.read_rest()
    client.writer.transport.abort()
    answer, _, body = raw.partition(b"\r\n\r\n")
    return int(answer.split(b" ")[1]), str(json.loads(body)["code"])


SMUGGLED = b"GET /api/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(["Content-Length: 4", "Transfer-Encoding: chunked"], id="both"),
        pytest.param(["Transfer-Encoding: chunked", "Content-Length: 4"], id="both, the other way round"),
        pytest.param(["Content-Length: 4", "Content-Length: 5"], id="two lengths"),
        pytest.param(["Content-Length: 4", "Content-Length: 4"], id="one length twice"),
        pytest.param(["Content-Length: 4, 4"], id="a list of lengths"),
        pytest.param(["Content-Length: +4"], id="a plus"),
        pytest.param(["Content-Length: 0x4"], id="a hexadecimal length"),
        pytest.param(["Content-Length: -4"], id="a negative length"),
        pytest.param(["Content-Length: 99999999999999999999999"], id="a length that overflows"),
        pytest.param(["Content-Length : 4"], id="a blank before the colon"),
        pytest.param(["Transfer-Encoding : chunked"], id="a blank before the colon of an encoding"),
        pytest.param(["Transfer-Encoding: xchunked"], id="another encoding"),
        pytest.param(["Transfer-Encoding: chunked, identity"], id="chunked is not the last"),
        pytest.param(["Transfer-Encoding: gzip, chunked"], id="compressed and chunked"),
        pytest.param(["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], id="two encodings"),
        pytest.param(["Transfer-Encoding:\x0bchunked"], id="a vertical tab"),
        pytest.param([" Transfer-Encoding: chunked"], id="a folded line"),
        pytest.param(["X: y\nTransfer-Encoding: chunked", "Content-Length: 4"], id="a bare line feed"),
        pytest.param(["X: y\rTransfer-Encoding: chunked", "Content-Length: 4"], id="a bare carriage return"),
    ],
)
async def test_a_body_that_can_be_read_in_two_ways(
    gateway: Gateway, studio: ScriptedHttp, auth: FakeAuth, fields: list[str]
) -> None:
    data = request("POST", token=auth.mint(), extra=fields) + b"0\r\n\r\n" + SMUGGLED
    assert await said(gateway, data) == (400, "bad_request")
    assert studio._arrived.empty()


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n", b"-1\r\n", b"0x4\r\nabcd\r\n", b"fffffffffffffffff\r\n", b"4;ext\nabcd\r\n", b"4\r\nabcdX\r\n0\r\n\r\n", b" 4\r\nabcd\r\n",
    ],
)  # fmt: skip
async def test_chunks_that_are_none(
    gateway: Gateway, studio: ScriptedHttp, auth: FakeAuth, body: bytes
) -> None:
    data = request("POST", token=auth.mint(), extra=["Transfer-Encoding: chunked"]) + body + SMUGGLED
    assert await said(gateway, data) == (400, "bad_request")
    await until(lambda: nobody_is_left(gateway))
    while not studio._arrived.empty():
        asked = await studio.request()
        assert asked.head.target == "/api/x"
        assert SMUGGLED not in await asked.read_rest(), "and the connection has ended"


async def test_a_second_request_on_a_connection_is_not_read(
    gateway: Gateway, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    client = await HttpPeer.connect(gateway.port)
    client.write(request("POST", token=auth.mint(), extra=["Content-Length: 4"]) + b"body" + SMUGGLED)
    asked = await studio.request()
    assert await asked.read(4) == b"body"
    asked.answer(b"ok")
    assert (await client.read_rest()).count(b"HTTP/1.1") == 1
    client.leave()
    assert studio._arrived.empty()
    client = await HttpPeer.connect(gateway.port)
    client.write(request(target="/api/next", token=auth.mint()))
    assert (await asked.read_head()).target == "/api/next", "and Studio has got nothing of it"
    client.leave()


@pytest.mark.parametrize("late", [False, True])
async def test_an_answer_too_many_does_not_reach_the_next_user(
    gateway: Gateway, studio: ScriptedHttp, auth: FakeAuth, *, late: bool
) -> None:
    extra = head("HTTP/1.1 200 OK", "Content-Length: 6") + b"secret"
    client = await HttpPeer.connect(gateway.port)
    client.write(request(token=auth.mint("u1")))
    asked = await studio.request()
    asked.write(head("HTTP/1.1 200 OK", "Content-Length: 2") + b"ok" + (b"" if late else extra))
    await client.read_rest()
    client.leave()
    if late:
        asked.write(extra)
        await asked.writer.drain()
    client = await HttpPeer.connect(gateway.port)
    client.write(request(target="/api/next", token=auth.mint("u2")))
    following = await studio.request()
    assert following is not asked, "the connection is not used again"
    following.answer(b"for u2")
    assert (await client.read_rest()).endswith(b"\r\n\r\nfor u2")
    client.leave()


@pytest.mark.parametrize(
    "target",
    [
        "/api/../health", "/api/%2e%2e/health", "/api/..%2fhealth", "/api/%252e%252e/health", "/api//x", "/api/x\\..\\y", "/api/%5c", "/api/x%00",
    ],
)  # fmt: skip
async def test_traversal(gateway: Gateway, studio: ScriptedHttp, auth: FakeAuth, target: str) -> None:
    assert await said(gateway, request(target=target, token=auth.mint())) == (400, "bad_request")
    assert studio._arrived.empty()


@pytest.mark.parametrize(
    "target", ["/auth/validate#", "/auth/validate#x", "http://gateway.test/auth/validate#x?y", "/api/x#y", "/auth/;/validate"]
)  # fmt: skip
async def test_the_target_that_was_checked_is_the_one_that_is_sent(
    gateway: Gateway, studio: ScriptedHttp, auth: FakeAuth, target: str
) -> None:
    """The HTTP client left out a fragment, so `/auth/validate#` reached what `/auth/validate` may not."""
    assert await said(gateway, request("POST", target, token=auth.mint())) == (400, "bad_request")
    assert studio._arrived.empty()
    assert auth.log.entries("request") == []


async def test_the_target_of_a_second_request_changes_nothing_of_the_first(
    gateway: Gateway, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    client = await HttpPeer.connect(gateway.port)
    client.write(request(target="/api/x", token=auth.mint()) + request(target="/api/y?", token=auth.mint()))
    assert (await studio.request()).head.target == "/api/x"
    client.leave()


@pytest.mark.parametrize("target", ["/api/x?", "/api/a%2Fb;c/~%7E!$'()*+,=:@%c3?&&a=%zz;b=c+d&?"])
async def test_the_bytes_of_a_target_stay_as_they_are(
    gateway: Gateway, studio: ScriptedHttp, auth: FakeAuth, target: str
) -> None:
    """The mark of an empty query was lost."""
    client = await HttpPeer.connect(gateway.port)
    client.write(request(target=target, token=auth.mint()))
    assert (await studio.request()).head.target == target
    client.leave()


@pytest.mark.parametrize(
    "hosts", [[], ["Host: a", "Host: b"], ["Host: a b"], ["Host: a/b"], ["Host: user@a"]]
)
async def test_a_host_that_is_none(gateway: Gateway, auth: FakeAuth, hosts: list[str]) -> None:
    data = head("GET /api/x HTTP/1.1", *hosts, f"Authorization: Bearer {auth.mint()}")
    assert await said(gateway, data) == (400, "bad_request")


@pytest.mark.parametrize("known", [True, False])
async def test_a_body_that_is_too_large(
    start_gateway: StartGateway, studio: ScriptedHttp, auth: FakeAuth, log: GatewayLog, *, known: bool
) -> None:
    gateway = await start_gateway(HTTP_MAX_BODY_BYTES="1000")
    framing = "Content-Length: 1001" if known else "Transfer-Encoding: chunked"
    body = b"x" * 1001 if known else b"3e9\r\n" + b"x" * 1001
    data = request("POST", token=auth.mint(), extra=[framing]) + body
    assert await said(gateway, data) == (413, "body_too_large")
    detail = (await log.line("refused"))["detail"]
    assert detail == "the request body is larger than 1000 bytes; HTTP_MAX_BODY_BYTES sets this limit"
    await until(lambda: nobody_is_left(gateway))
    if not studio._arrived.empty():
        assert b"x" not in await (await studio.request()).read_rest()


async def test_a_body_of_nothing_but_framing(
    start_gateway: StartGateway, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    gateway = await start_gateway()
    client = await HttpPeer.connect(gateway.port)
    client.write(request("POST", token=auth.mint(), extra=["Transfer-Encoding: chunked"]))
    asked = await studio.request()
    for _ in range(8):
        client.write(b"1;" + b"x" * 16_000 + b"\r\nx\r\n")
    assert (await client.read_head()).status == 400
    assert b"0\r\n\r\n" not in await asked.read_rest()
    client.leave()


async def test_one_address_has_so_many_requests_at_once(
    start_gateway: StartGateway, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    """Also while their clients do not take the answers."""
    gateway = await start_gateway(HTTP_CONNECTIONS_PER_IP="40", MAX_CONNECTIONS_PER_IP="10")
    clients = []
    for _ in range(40):
        client = await HttpPeer.connect(gateway.port)
        client.write(request(token=auth.mint()))
        await studio.request()
        clients.append(client)
    assert await said(gateway, request(token=auth.mint())) == (429, "too_many_connections_from_address")
    clients[0].leave()
    await until(lambda: len(gateway.parts.proxy or ()) < 40)
    client = await HttpPeer.connect(gateway.port)
    client.write(request(token=auth.mint()))
    await studio.request()
    for each in (*clients, client):
        each.writer.transport.abort()
    await until(lambda: nobody_is_left(gateway) and not len(gateway.parts.proxy or ()))


@pytest.mark.slow
@pytest.mark.one_loop
async def test_an_upload_needs_no_memory(
    start_gateway: StartGateway, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    """The fast client meets a slower Studio; all three are in this process, whose memory must not grow."""
    gateway = await start_gateway(HTTP_MAX_BODY_BYTES="0")
    size = UPLOAD_MIB * MIB
    client = await HttpPeer.connect(gateway.port)
    client.write(request("POST", token=auth.mint(), extra=[f"Content-Length: {size}"]))
    asked = await studio.request()
    before, highest = resident(), 0

    async def upload() -> None:
        for _ in range(size // MIB):
            client.write(bytes(MIB))
            await client.writer.drain()

    sending = asyncio.create_task(upload())
    left = size
    while left:
        left -= len(await asked.reader.read(MIB))
        highest = max(highest, resident())
    await sending
    asked.answer(b"ok")
    assert (await client.read_rest()).endswith(b"ok")
    client.leave()
    assert highest - before < 24 * MIB


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
