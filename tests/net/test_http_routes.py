"""Answers of the gateway itself: complete, in HTTP/1.1, and the same however the request comes."""

from __future__ import annotations

import asyncio
import json
import socket
from email.utils import parsedate_to_datetime
from time import time

import pytest
from tests.net.pair import Dial, GatewayLog, Join, StartGateway, until
from tests.net.scripted_studio import ScriptedStudio, accept
from tests.net.wire import CLOSE, PATIENCE, Head, Peer, close_body, upgrade_request

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.app.healthcheck import problem_of

REQUESTS = {
    "health": b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "ready": b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n",
    "metrics": b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    "no route": b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
    "no method": b"DELETE /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "no Host": b"GET /health HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /health HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "two Hosts in HTTP/1.0": b"GET /health HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
    "no upgrade": b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n",
    "no token": upgrade_request(),
    "invalid token": upgrade_request("wrong"),
    "no route for upgrades": upgrade_request("t", target="/nowhere"),
    "no handshake": upgrade_request("t", without=["sec-websocket-key"]),
    "no request": b"GET /health HTTP/1.1\r\nno colon\r\n\r\n",
    "no renewal": b"POST /token/renew HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    "long URL": b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 20_000),
    "large head": b"GET /health HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"x" * 20_000),
}


async def ask(dial: Dial, gateway: Gateway, request: bytes, *, half_close: bool = False) -> Head:
    client: Peer = await dial(gateway)
    client.write(request)
    if half_close:
        client.finish()
    answer = await client.read_head()
    assert await client.read_rest() == b""
    return answer


def as_head(request: bytes) -> bytes:
    return b"HEAD" + request[request.index(b" ") :]


@pytest.mark.parametrize("name", REQUESTS)
async def test_an_answer_is_complete(
    start_gateway: StartGateway, dial: Dial, log: GatewayLog, name: str
) -> None:
    gateway = await start_gateway()
    before = int(time())
    answer = await ask(dial, gateway, REQUESTS[name])
    assert answer.first_line.startswith("HTTP/1.1 ")
    assert before <= parsedate_to_datetime(answer.get("date")).timestamp() <= time()
    assert (answer.get("server"), answer.get("connection").split(",")[0]) == ("memmie-gateway", "close")
    assert answer.get("cache-control") == "no-store"
    assert len(answer.get("x-request-id")) == 32
    for line in log.lines("refused"):
        assert line["request_id"] == answer.get("x-request-id")


@pytest.mark.parametrize("name", ["health", "no route", "no token"])
async def test_an_answer_has_the_id_of_its_request(
    start_gateway: StartGateway, dial: Dial, name: str
) -> None:
    request = REQUESTS[name].replace(b"\r\n\r\n", b"\r\nX-Request-ID: mine\r\n\r\n")
    assert (await ask(dial, await start_gateway(), request)).get("x-request-id") == "mine"


@pytest.mark.parametrize("name", [name for name in REQUESTS if name not in ("no method", "no renewal")])
async def test_head_has_no_body(start_gateway: StartGateway, dial: Dial, name: str) -> None:
    gateway = await start_gateway()
    client = await dial(gateway)
    client.write(as_head(REQUESTS[name]))
    head, _, body = (await client.read_rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    assert b"\r\nContent-Length: " in head
    assert body == b""


@pytest.mark.parametrize("name", ["no Host", "two Hosts", "two Hosts in HTTP/1.0"])
async def test_exactly_one_host_is_needed(start_gateway: StartGateway, dial: Dial, name: str) -> None:
    answer = await ask(dial, await start_gateway(), REQUESTS[name])
    assert (answer.first_line, json.loads(answer.body)["code"]) == ("HTTP/1.1 400 Bad Request", "bad_request")


@pytest.mark.parametrize(
    "behind", [b"DELETE /x HTTP/1.1\r\nHost: x\r\n\r\n", b"HEAD / HTTP/1.0\r\n\r\n", b"\x00"]
)
async def test_what_comes_behind_a_request_does_not_change_its_answer(
    start_gateway: StartGateway, dial: Dial, behind: bytes
) -> None:
    answer = await ask(dial, await start_gateway(), REQUESTS["health"] + behind)
    assert (answer.status, json.loads(answer.body)["status"]) == (200, "healthy")


async def test_http_1_0_needs_no_host(start_gateway: StartGateway, dial: Dial) -> None:
    assert (await ask(dial, await start_gateway(), b"GET /health HTTP/1.0\r\n\r\n")).status == 200


@pytest.mark.parametrize("name", [name for name in REQUESTS if name != "invalid token"])
async def test_a_half_closed_request_is_answered(start_gateway: StartGateway, dial: Dial, name: str) -> None:
    gateway = await start_gateway()
    status = (await ask(dial, gateway, REQUESTS[name])).status
    assert (await ask(dial, gateway, REQUESTS[name], half_close=True)).status == status
    await until(lambda: not gateway.parts.listener.http)


@pytest.mark.parametrize(("body", "status"), [(b'{"token":"old"}', 200), (b'{"tok', 400)])
async def test_a_half_closed_renewal_is_answered(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, body: bytes, status: int
) -> None:
    """It has to wait for Auth, and the FIN comes before its answer."""
    gateway = await start_gateway()
    client = await dial(gateway)
    head = f"POST /token/renew HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\nAuthorization: Bearer {auth.mint()}\r\n\r\n"
    client.write(head.encode() + body)
    client.finish()
    assert (await client.read_head()).status == status
    await until(lambda: not gateway.parts.listener.http)


async def test_a_body_is_asked_for(start_gateway: StartGateway, dial: Dial, auth: FakeAuth) -> None:
    """RFC 9110 §10.1.1."""
    client = await dial(await start_gateway())
    head = (
        "POST /token/renew HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
        f"Authorization: Bearer {auth.mint()}\r\n\r\n"
    )
    client.write(head.encode())
    assert (await client.read_head()).first_line == "HTTP/1.1 100 Continue"
    client.write(b'5\r\n{"tok\r\n8;x=y\r\nen":"x"}\r\n0\r\n\r\n')
    assert json.loads((await client.read_head()).body) == {"moved": 0}


@pytest.mark.parametrize("cuts", [[], [10_000], [1, 16_383, 16_384, 16_385], [16_384]])
@pytest.mark.parametrize("size", [16_384, 20_000, 300_000])
async def test_too_long_a_url_is_414_however_it_comes(
    start_gateway: StartGateway, dial: Dial, cuts: list[int], size: int
) -> None:
    request = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * size)
    client = await dial(await start_gateway())
    for start, end in zip([0, *cuts], [*cuts, len(request)], strict=True):
        client.write(request[start:end])
        await client.writer.drain()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    answer = await client.read_head()
    assert (answer.status, json.loads(answer.body)["code"]) == (414, "url_too_long")


async def test_a_long_token_has_a_cause_of_its_own(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    token = auth.mint()
    gateway = await start_gateway(MAX_TOKEN_BYTES=str(len(token)))
    for request in (upgrade_request(f"{token}x"), upgrade_request(target=f"/ws?token={token}x")):
        answer = await ask(dial, gateway, request)
        assert (answer.status, json.loads(answer.body)["code"]) == (401, "token_too_long")
    assert auth.log.entries("request") == []
    client = await dial(gateway)
    client.write(upgrade_request(token))
    accept(await studio.arrival())
    assert (await client.read_head()).status == 101


# What no input reaches.


@pytest.mark.parametrize(
    "accept_header",
    [
        "application/openmetrics-text; version=a",
        "application/openmetrics-text;version=1.x;escaping=\xff",
        "\xff;;q=x",
    ],
)
async def test_no_accept_header_makes_metrics_fail(
    start_gateway: StartGateway, dial: Dial, accept_header: str, caplog: pytest.LogCaptureFixture
) -> None:
    request = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept_header}\r\n\r\n".encode("latin-1")
    assert (await ask(dial, await start_gateway(), request)).status == 200
    assert caplog.records == []


async def test_a_failing_route_is_a_refusal(start_gateway: StartGateway, dial: Dial, log: GatewayLog) -> None:
    """A bug is not for the client, and does not end the gateway."""
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    gateway = await start_gateway()
    gateway.parts.listener.handlers.http._readiness = dict  # type: ignore[attr-defined]
    answer = await ask(dial, gateway, REQUESTS["ready"])
    assert (answer.status, json.loads(answer.body)["code"]) == (500, "internal_error")
    assert [type(context["exception"]) for context in reported] == [ValueError]
    assert (await log.line("refused"))["cause"] == "internal_error"


async def test_close_codes_make_a_bounded_number_of_series(
    start_gateway: StartGateway, join: Join, dial: Dial
) -> None:
    gateway = await start_gateway()
    for code in (1000, 3000, 3001, 4001, 4321, 4999):
        pair = await join(gateway)
        pair.client.send(CLOSE, close_body(code))
        assert await pair.studio.read_close() == (code, "")
        pair.studio.send_close(code)
        await until(lambda: len(gateway.parts.sessions) == 0)
    text = (await ask(dial, gateway, REQUESTS["metrics"])).body.decode()
    found = [line for line in text.splitlines() if line.startswith("gateway_websocket_closes_total{")]
    assert found == [
        'gateway_websocket_closes_total{by="client",code="1000"} 1.0',
        'gateway_websocket_closes_total{by="client",code="3000"} 1.0',
        'gateway_websocket_closes_total{by="client",code="other"} 4.0',
    ]


async def test_secrets_in_the_url_of_a_studio_are_shown_nowhere(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, log: GatewayLog
) -> None:
    """Studio itself gets them, and two Studios that differ only in them stay two."""
    urls = [f"{studio.url}?key=S{number}CRET&shard=a,b" for number in range(2)]
    gateway = await start_gateway(
        STUDIO_WS_URLS=",".join(url.replace(",", "%2C") for url in urls), HEALTH_CHECK="off"
    )
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint()))
    asked = await studio.arrival()
    assert "CRET" in asked.head.target
    accept(asked)
    assert (await client.read_head()).status == 101
    shown = f"{studio.url}?key=***&shard=***"
    ready = await ask(dial, gateway, REQUESTS["ready"])
    assert list(json.loads(ready.body)["studios"]) == [shown, f"{shown}#2"]
    metrics = (await ask(dial, gateway, REQUESTS["metrics"])).body.decode()
    assert f'gateway_websocket_connections{{backend="{shown}' in metrics
    client.leave()
    asked.leave()
    await until(lambda: len(gateway.parts.sessions) == 0)
    assert (await log.line("closed"))["backend"] in (shown, f"{shown}#2")
    assert "CRET" not in metrics + ready.body.decode() + log.getvalue() + repr(gateway.parts.pool.active)


# Where it listens.


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_the_ipv6_wildcard_serves_both_families(start_gateway: StartGateway, log: GatewayLog) -> None:
    gateway = await start_gateway(HOST="::", MAX_CONNECTIONS_PER_IP="1", TRUSTED_PROXIES="10.0.0.0/8")
    for host in ("127.0.0.1", "::1"):
        reader, writer = await asyncio.open_connection(host, gateway.port)
        writer.write(upgrade_request())
        async with asyncio.timeout(PATIENCE):
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 401 ")
        writer.close()
    assert [line["address"] for line in log.lines("refused")] == ["127.0.0.1", "::1"]
    assert (await log.line("listening"))["url"] == f"http://[::1]:{gateway.port}"
    environment = {"HOST": "::", "PORT": str(gateway.port)}
    assert await asyncio.to_thread(problem_of, environment, "/health") == ""


async def test_the_log_names_an_address_that_answers(start_gateway: StartGateway, log: GatewayLog) -> None:
    """Of several addresses of a name, each with PORT=0 has a port of its own."""
    await start_gateway(HOST="localhost")
    host, _, port = (await log.line("listening"))["url"].removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.write(REQUESTS["health"])
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()
