"""An Auth that does not answer as it should: 503 or 502, never a 401 and never a free pass (spec §2)."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from tests.net.pair import Dial, GatewayLog, StartGateway
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_fake_auth import FakeAuth
from memmie_harness.conformance.peers import TEXT, upgrade_request

ANSWERS: list[Any] = [
    pytest.param("hang", {}, "Auth did not answer within 0.2 seconds", id="hangs"),
    pytest.param("html", {}, "Auth answered with something that is not JSON", id="HTML"),
    pytest.param("html", {"status": 502}, "Auth answered with status 502", id="HTML of a proxy"),
    pytest.param("error", {"status": 500}, "Auth answered with status 500", id="500"),
    pytest.param("error", {"status": 403}, "Auth answered with status 403", id="403"),
    pytest.param("error", {"status": 429}, "Auth answered with status 429", id="429"),
    pytest.param("error", {"status": 302}, "Auth answered with status 302", id="redirect"),
    pytest.param("error", {"status": 204}, "Auth answered with status 204", id="204"),
    pytest.param("error", {"status": 200, "body": ""}, "something that is not JSON", id="empty"),
    pytest.param(
        "error", {"status": 200, "body": "[true]"}, "with JSON that is not an object", id="no object"
    ),
    pytest.param(
        "error", {"status": 200, "body": "[" * 50_000}, "something that is not JSON", id="deeply nested"
    ),
    pytest.param("error", {"status": 200, "body": "x" * 200_000}, "Auth's answer is too large", id="huge"),
    pytest.param("garbage", {}, "Auth gave no complete answer (", id="no HTTP"),
    pytest.param("reset", {}, "Auth gave no complete answer (", id="reset"),
]


@pytest.mark.parametrize(("fault", "parameters", "words"), ANSWERS)
async def test_it_is_503(
    unharmed: StartGateway,
    dial: Dial,
    auth: FakeAuth,
    log: GatewayLog,
    fault: str,
    parameters: dict[str, Any],
    words: str,
) -> None:
    gateway = await unharmed(AUTH_TIMEOUT_SECONDS="0.2")
    auth.script(fault, route="/api/v1/auth/validate", times=1, **parameters)
    client = await dial(gateway)
    token = auth.mint()
    client.write(upgrade_request(token))
    answer = await client.read_head()
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "auth_unavailable")
    assert int(answer.get("retry-after")) >= 1
    assert await client.read_rest() == b""
    line = await log.line("refused")
    assert words in line["detail"]
    assert token not in log.getvalue()


UNUSABLE: list[Any] = [
    pytest.param('{"valid": "yes"}', "without a boolean `valid`", id="valid is text"),
    pytest.param("{}", "without a boolean `valid`", id="empty"),
    pytest.param('{"valid": true}', "without a usable `user_id`", id="no user"),
    pytest.param('{"valid": true, "user_id": ""}', "without a usable `user_id`", id="empty user"),
    pytest.param('{"valid": true, "user_id": 42}', "without a usable `user_id`", id="user is a number"),
    pytest.param(
        '{"valid": true, "user_id": "a\\r\\nX-Evil: 1"}',
        "without a usable `user_id`",
        id="user with a line end",
    ),
    pytest.param(
        '{"valid": true, "user_id": "u1", "expires": "soon"}',
        "an `expires` that is not a number",
        id="expires is text",
    ),
]


@pytest.mark.parametrize(("body", "words"), UNUSABLE)
async def test_an_answer_that_cannot_be_used_is_502_and_not_to_be_tried_again(
    unharmed: StartGateway, dial: Dial, auth: FakeAuth, log: GatewayLog, body: str, words: str
) -> None:
    gateway = await unharmed()
    auth.script("error", route="/api/v1/auth/validate", times=1, status=200, body=body)
    client = await dial(gateway)
    token = auth.mint()
    client.write(upgrade_request(token))
    answer = await client.read_head()
    assert (answer.status, json.loads(answer.body)["code"]) == (502, "auth_answer_unusable")
    assert answer.get("retry-after") == ""
    assert await client.read_rest() == b""
    line = await log.line("refused")
    assert (line["cause"], line["by"], line["status"]) == ("auth_answer_unusable", "auth", 502)
    assert words in line["detail"]
    assert token not in log.getvalue()


async def test_with_first_message_auth_it_is_1011(
    unharmed: StartGateway, dial: Dial, auth: FakeAuth, log: GatewayLog
) -> None:
    gateway = await unharmed(FIRST_MESSAGE_AUTH="true")
    auth.script("error", route="/api/v1/auth/validate", times=1, status=200, body="{}")
    client = await dial(gateway)
    client.write(upgrade_request())
    assert (await client.read_head()).status == 101
    client.send(TEXT, json.dumps({"type": "auth", "data": {"token": "T"}}))
    assert await client.read_close() == (1011, "Auth's answer about this token cannot be used")
    client.leave()
    assert (await log.line("refused"))["code"] == 1011


async def test_a_redirect_is_not_followed(start_gateway: StartGateway, dial: Dial, auth: FakeAuth) -> None:
    """Not even to a place that would say yes: the token is for Auth alone."""

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        location = f"{auth.url}/api/v1/auth/validate"
        writer.write(f"HTTP/1.1 307 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(redirect, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        gateway = await start_gateway(AUTH_URL=f"http://127.0.0.1:{port}")
        client = await dial(gateway)
        client.write(upgrade_request(auth.mint()))
        assert (await client.read_head()).status == 503
        assert auth.log.entries("request") == []


async def test_an_auth_that_is_not_there(unharmed: StartGateway, dial: Dial, auth: FakeAuth) -> None:
    gateway = await unharmed()
    await auth.stop()
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint()))
    assert (await client.read_head()).status == 503
    assert await client.read_rest() == b""
    await auth.start()


@pytest.mark.parametrize("kind", ["expired", "revoked", "bad_signature"])
async def test_a_refusal_is_401_however(
    unharmed: StartGateway, dial: Dial, auth: FakeAuth, kind: Any
) -> None:
    client = await dial(await unharmed())
    client.write(upgrade_request(auth.mint(kind=kind)))
    answer = await client.read_head()
    assert (answer.status, json.loads(answer.body)["code"]) == (401, "token_invalid")


async def test_a_packed_answer_is_not_unpacked(start_gateway: StartGateway, dial: Dial) -> None:
    """The gateway says it takes none; and of 64 KiB, unpacked, there could be 64 MiB to wait for."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = gzip.compress(b'{"valid": true, "user_id": "u1"}')
        fields = f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + fields.encode() + body)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = await dial(await start_gateway(AUTH_URL=url))
    client.write(upgrade_request("t"))
    refused = await client.read_head()
    assert (refused.status, json.loads(refused.body)["code"]) == (503, "auth_unavailable")
    server.close()


async def test_claims_that_are_too_large_are_dropped_with_one_warning(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, log: GatewayLog
) -> None:
    """The client is served all the same, and the log does not show what was dropped."""
    gateway = await start_gateway()
    body = json.dumps({"valid": True, "user_id": "u1", "claim": "secret" * 1000})
    auth.script("error", route="/api/v1/auth/validate", times=2, status=200, body=body)
    for token in ("t1", "t2"):
        client = await dial(gateway)
        client.write(upgrade_request(token))
        accept(await studio.arrival())
        assert (await client.read_head()).status == 101
    (line,) = log.lines("claims_dropped")
    assert (line["level"], line["bytes"]) == ("warning", len('{"claim":""}') + 6000)
    assert "secretsecret" not in log.getvalue()
