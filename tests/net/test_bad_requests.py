"""Requests that are no handshake: each is answered in words the client can read, and the next client is served."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from tests.net.pair import Dial, GatewayLog, Join, StartGateway, nobody_is_left, until
from tests.net.scripted_studio import ScriptedStudio

from memmie_fake_auth import FakeAuth
from memmie_harness.conformance.peers import Head, Peer, upgrade_request

BAD_HOST = "the Host header must be a name or an address, and perhaps a port"


async def refusal(client: Peer, status: int, code: str) -> Head:
    """Read a refusal to its end, which is no reset."""
    answer = await client.read_head()
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
    assert json.loads(answer.body)["error"]
    assert await client.read_rest() == b""
    client.leave()
    return answer


async def test_a_megabyte_of_headers_is_answered_and_the_answer_can_be_read(
    unharmed: StartGateway, dial: Dial
) -> None:
    """A server that just closes resets the connection, and the client never sees the 431."""
    client = await dial(await unharmed())
    client.write(b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Big: " + b"x" * (1 << 20))
    client.write(b"\r\n\r\n")
    async with asyncio.timeout(5):
        await client.writer.drain()
    await refusal(client, 431, "head_too_large")


async def test_too_many_header_fields(unharmed: StartGateway, dial: Dial) -> None:
    client = await dial(await unharmed(MAX_HEADERS="20"))
    client.write(upgrade_request("t", extra=[f"X-{number}: y" for number in range(15)]))
    answer = await refusal(client, 431, "head_too_large")
    assert json.loads(answer.body)["error"] == "too many header fields"


async def test_just_the_allowed_number_of_header_fields(unharmed: StartGateway, dial: Dial) -> None:
    head = upgrade_request("t", extra=["X: y"])
    client = await dial(await unharmed(MAX_HEADERS=str(head.count(b": "))))
    client.write(head)
    await refusal(client, 401, "token_invalid")


async def test_too_many_header_fields_before_a_bad_one(unharmed: StartGateway, dial: Dial) -> None:
    """The same answer whether they come in one piece or in several."""
    client = await dial(await unharmed(MAX_HEADERS="20"))
    client.write(upgrade_request("t", extra=[*(f"X-{number}: y" for number in range(30)), "bad line"]))
    await refusal(client, 431, "head_too_large")


async def test_a_head_of_just_the_allowed_size_is_let_in(
    unharmed: StartGateway, dial: Dial, studio: ScriptedStudio, auth: FakeAuth
) -> None:
    client = await dial(await unharmed(MAX_HEAD_BYTES="4096"))
    short = upgrade_request(auth.mint(), extra=["X-Big: "])
    client.write(upgrade_request(auth.mint(), extra=["X-Big: " + "x" * (4096 - len(short))]))
    await studio.arrival()
    client.leave()


@pytest.mark.parametrize("sent", [b"", b"GET /ws HTTP/1.1\r\nHost: x\r\n"])
async def test_no_head_in_time(unharmed: StartGateway, dial: Dial, sent: bytes) -> None:
    client = await dial(await unharmed(HEAD_SECONDS="0.1"))
    client.write(sent)
    await refusal(client, 408, "request_timeout")


async def test_a_head_that_trickles_in_does_not_gain_time(unharmed: StartGateway, dial: Dial) -> None:
    client = await dial(await unharmed(HEAD_SECONDS="0.2"))
    started = asyncio.get_running_loop().time()

    async def trickle() -> None:
        client.write(b"GET /ws HTTP/1.1\r\nX-Slow: ")
        while True:
            client.write(b"x")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    answer = await client.read_head()
    trickling.cancel()
    client.leave()
    assert answer.status == 408
    assert asyncio.get_running_loop().time() - started < 2


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"GET /ws\r\n", id="HTTP 0.9"),
        pytest.param(b"\r\nGET /ws\n", id="HTTP 0.9 of a sloppy client"),
        pytest.param(b"GET /ws HTTP/2.0\r\nHost: x\r\n\r\n", id="HTTP 2.0"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP 2 preface"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), id="TLS hello"),
        pytest.param(b"\x00\xff" * 40 + b"\r\n\r\n", id="noise"),
        pytest.param(b"GET /ws?x=\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", id="raw bytes in the URL"),
        pytest.param(b"GET /w\x01s HTTP/1.1\r\nHost: x\r\n\r\n", id="control character in the URL"),
        pytest.param(b"GET ws HTTP/1.1\r\nHost: x\r\n\r\n", id="no path"),
        pytest.param(b"GET /ws HTTP/1.1\r\nHo st: x\r\n\r\n", id="blank in a header name"),
        pytest.param(b"GET /ws HTTP/1.1\r\nX: a\x00b\r\n\r\n", id="zero byte in a header"),
        pytest.param(b"GET /ws HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", id="header without a colon"),
    ],
)
async def test_not_a_request(unharmed: StartGateway, dial: Dial, request_bytes: bytes) -> None:
    client = await dial(await unharmed())
    client.write(request_bytes)
    await refusal(client, 400, "bad_request")


@pytest.mark.parametrize(
    ("without", "extra", "words"),
    [
        pytest.param("host", [], "exactly one Host header is needed", id="no Host"),
        pytest.param("", ["Host: other"], "exactly one Host header is needed", id="two Hosts"),
        pytest.param("host", ["Host: evil.test/x"], BAD_HOST, id="a Host that is none"),
        pytest.param("host", ["Host: a.test, b.test"], BAD_HOST, id="two Hosts in one"),
        pytest.param("sec-websocket-key", [], "Sec-WebSocket-Key must be 16 bytes in base64", id="no key"),
        pytest.param(
            "sec-websocket-key",
            ["Sec-WebSocket-Key: c2hvcnQ="],
            "Sec-WebSocket-Key must be 16 bytes in base64",
            id="short key",
        ),
        pytest.param(
            "",
            ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
            "Sec-WebSocket-Key must be 16 bytes in base64",
            id="two keys",
        ),
        pytest.param("connection", [], "the Connection header must name upgrade", id="no Connection"),
        pytest.param(
            "connection",
            ["Connection: keep-alive"],
            "the Connection header must name upgrade",
            id="bad Connection",
        ),
        pytest.param("", ["Content-Length: 2"], "a WebSocket handshake has no body", id="a body"),
    ],
)
async def test_not_a_handshake(
    unharmed: StartGateway, dial: Dial, without: str, extra: list[str], words: str
) -> None:
    client = await dial(await unharmed())
    client.write(upgrade_request("t", without=[without], extra=extra))
    answer = await refusal(client, 400, "bad_handshake")
    assert json.loads(answer.body)["error"] == words


async def test_a_second_request_in_the_same_read_changes_nothing_of_the_first(
    unharmed: StartGateway, dial: Dial
) -> None:
    client = await dial(await unharmed())
    client.write(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/3.0\r\n\r\n")
    await refusal(client, 426, "upgrade_required")


async def test_a_handshake_needs_http_1_1(unharmed: StartGateway, dial: Dial) -> None:
    client = await dial(await unharmed())
    client.write(upgrade_request("t").replace(b"HTTP/1.1", b"HTTP/1.0"))
    await refusal(client, 400, "bad_handshake")


@pytest.mark.parametrize("extra", [[], ["Sec-WebSocket-Version: 8"], ["Sec-WebSocket-Version: 13, 8"]])
async def test_another_version(unharmed: StartGateway, dial: Dial, extra: list[str]) -> None:
    """The answer names the version that is spoken (RFC 6455 §4.2.2)."""
    client = await dial(await unharmed())
    client.write(upgrade_request("t", without=["sec-websocket-version"], extra=extra))
    answer = await refusal(client, 426, "unsupported_version")
    assert (answer.get("sec-websocket-version"), answer.get("upgrade")) == ("13", "websocket")


@pytest.mark.parametrize("how", ["finish", "reset"])
async def test_the_client_leaves_in_mid_head(unharmed: StartGateway, dial: Dial, how: str) -> None:
    gateway = await unharmed()
    client = await dial(gateway)
    client.write(upgrade_request("t")[:50])
    edge = gateway.parts.listener
    assert edge is not None
    await until(lambda: len(edge.pending) == 1)
    getattr(client, how)()
    await until(lambda: not edge.pending)


@pytest.mark.parametrize("how", ["finish", "reset"])
async def test_the_client_leaves_while_auth_is_asked(
    unharmed: StartGateway, dial: Dial, auth: FakeAuth, log: GatewayLog, how: str
) -> None:
    auth.script("hang", times=1)
    gateway = await unharmed(AUTH_TIMEOUT_SECONDS="0.5")
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint()))
    await until(lambda: bool(auth.log.entries("request")))
    getattr(client, how)()
    await until(lambda: nobody_is_left(gateway))
    assert (await log.line("refused"))["cause"] == "client_left"


@pytest.mark.parametrize("how", ["finish", "reset"])
async def test_the_client_leaves_while_studio_is_asked(
    unharmed: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, log: GatewayLog, how: str
) -> None:
    gateway = await unharmed()
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint()))
    asked = await studio.arrival()
    getattr(client, how)()
    with contextlib.suppress(ConnectionResetError):  # an abort is a FIN or a reset, as the loop does it
        assert await asked.read_rest() == b""
    assert (await log.line("refused"))["cause"] == "client_left"


async def test_garbage_right_behind_the_handshake(join: Join, unharmed: StartGateway) -> None:
    pair = await join(await unharmed())
    pair.client.write(b"this is no frame, it is English")
    words = "the client broke the WebSocket protocol: reserved opcode"
    assert (await pair.studio.read_close())[0] == 1001
    pair.studio.send_close(1001)
    assert await pair.client.read_close() == (1002, words)
    pair.client.leave()


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(
            b"GET http://[::1/x?token=SECRET HTTP/1.1\r\nHost: x\r\n\r\n", id="a target that is no URL"
        ),
        pytest.param(b"GET /x?token=SECRET HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(
            b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n", id="a bad chunk"
        ),
    ],
)
async def test_what_is_wrong_in_the_target_or_the_body_is_neither_quoted_nor_logged(
    unharmed: StartGateway,
    dial: Dial,
    caplog: pytest.LogCaptureFixture,
    log: GatewayLog,
    request_bytes: bytes,
) -> None:
    """What cannot be read may hold a token."""
    client = await dial(await unharmed())
    client.write(request_bytes)
    answer = await refusal(client, 400, "bad_request")
    assert b"SECRET" not in answer.body
    assert "SECRET" not in caplog.text + log.getvalue()


async def test_an_expectation_that_is_not_met_ends_the_connection(unharmed: StartGateway, dial: Dial) -> None:
    """A second request would have neither the bounds nor the time-out of the first."""
    client = await dial(await unharmed())
    client.write(b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n")
    client.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    await refusal(client, 417, "expectation_failed")
