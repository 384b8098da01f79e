"""Refusals that a web page can read (`BROWSER_REFUSALS`): its upgrade is accepted, and closed at once (spec §1)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.docs.programs import node, running
from tests.net.pair import Dial, GatewayLog, Join, StartGateway, nobody_is_left, until
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_harness.conformance.peers import TEXT, Peer, accept_for, upgrade_request

ORIGIN = "Origin: https://app.test"
SETTINGS = {"BROWSER_REFUSALS": "true", "ALLOWED_ORIGINS": "https://app.test"}


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway(**SETTINGS)


async def asked(
    dial: Dial, gateway: Gateway, *extra: str, token: str | None = None, target: str = "/ws"
) -> Peer:
    client = await dial(gateway)
    client.write(upgrade_request(token, target=target, extra=extra))
    await client.read_head()
    return client


async def test_a_page_without_a_token(gateway: Gateway, dial: Dial, log: GatewayLog) -> None:
    client = await asked(
        dial, gateway, ORIGIN, "Sec-WebSocket-Extensions: permessage-deflate", "X-Request-ID: r1"
    )
    head = client.head
    assert head.status == 101
    assert head.get("sec-websocket-accept") == accept_for("YSBjbGllbnQncyBub25jZQ==")
    assert (head.get("sec-websocket-extensions"), head.get("sec-websocket-protocol")) == ("", "")
    assert head.get("x-request-id") == "r1"
    assert await client.read_close() == (4401, "token_missing")
    client.send_close(4401)
    assert await client.read_rest() == b""
    client.leave()
    await until(lambda: nobody_is_left(gateway))
    line = await log.line("refused")
    assert (line["cause"], line["status"], line["code"]) == ("token_missing", 401, 4401)
    assert log.lines("closed") == [], "it is refused, and was never a session"
    assert gateway.parts.events.refusals == {("token_missing", "401"): 1}
    assert not gateway.parts.events.closes


async def test_a_page_of_another_origin(gateway: Gateway, dial: Dial, auth: FakeAuth) -> None:
    client = await asked(dial, gateway, "Origin: https://evil.test", token=auth.mint())
    assert (client.head.status, await client.read_close()) == (101, (4403, "origin_not_allowed"))
    assert auth.log.entries("validate") == [], "Auth was not asked"


async def test_a_token_in_a_subprotocol_is_not_selected(gateway: Gateway, dial: Dial) -> None:
    client = await asked(dial, gateway, ORIGIN, "Sec-WebSocket-Protocol: v1, bearer, not.a.token")
    assert client.head.get("sec-websocket-protocol") == "bearer"
    assert await client.read_close() == (4401, "token_invalid")
    client = await asked(dial, gateway, ORIGIN, "Sec-WebSocket-Protocol: not.a.token")
    assert client.head.status == 401, "nothing could be selected"
    assert client.head.get("www-authenticate") == "Bearer"
    assert "not.a.token" not in str(client.head)


async def test_the_limit_of_the_user(
    start_gateway: StartGateway, join: Join, dial: Dial, auth: FakeAuth
) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS_PER_USER="1", **SETTINGS)
    pair = await join(gateway)
    client = await asked(dial, gateway, ORIGIN, token=auth.mint("u1"))
    assert await client.read_close() == (4429, "too_many_connections_of_user")
    await pair.exchange()


async def test_auth_and_studio(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(**SETTINGS)
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint(), extra=[ORIGIN]))
    refusing = await studio.arrival()
    refusing.write(b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n")
    assert (await client.read_head()).status == 101
    assert await client.read_close() == (4418, "studio_refused")

    client = await dial(gateway)
    client.write(upgrade_request(auth.mint(), extra=[ORIGIN]))
    (await studio.arrival()).write(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    assert (await client.read_head()).status == 101
    assert await client.read_close() == (4503, "studio_failed")

    auth.script("error", status=500, times=1)
    client = await asked(dial, gateway, ORIGIN, token=auth.mint())
    assert await client.read_close() == (4503, "auth_unavailable")


@pytest.mark.parametrize("origin", ["https://app.test", "https://evil.test"])
async def test_the_limits_by_address_are_plain_and_come_before_the_origin(
    start_gateway: StartGateway, join: Join, dial: Dial, auth: FakeAuth, origin: str
) -> None:
    settings = {**SETTINGS, "MAX_CONNECTIONS_PER_IP": "1"}
    gateway = await start_gateway(CONNECT_RATE_PER_IP="0.001", CONNECT_BURST_PER_IP="2", **settings)
    await join(gateway)
    client = await asked(dial, gateway, f"Origin: {origin}", token=auth.mint())
    assert (client.head.status, json.loads(client.head.body)["code"]) == (
        429,
        "too_many_connections_from_address",
    )
    client = await asked(dial, gateway, f"Origin: {origin}", token=auth.mint())
    assert (client.head.status, json.loads(client.head.body)["code"]) == (429, "connect_rate_exceeded")


async def test_a_gateway_that_shuts_down_is_plain(gateway: Gateway, dial: Dial, auth: FakeAuth) -> None:
    gateway.parts.admission.draining = True
    client = await asked(dial, gateway, "Origin: https://evil.test", token=auth.mint())
    assert (client.head.status, client.head.get("retry-after")) == (503, "1")


async def test_others_get_http(gateway: Gateway, dial: Dial) -> None:
    assert (await asked(dial, gateway)).head.status == 401, "no page: it has no Origin"
    client = await dial(gateway)
    client.write(upgrade_request(without=["sec-websocket-key"], extra=[ORIGIN]))
    assert (await client.read_head()).status == 400, "an invalid handshake"


@pytest.mark.parametrize("mode", ["passthrough", "translate"])
async def test_a_page_that_speaks_socketio_gets_http(
    start_gateway: StartGateway, dial: Dial, mode: str
) -> None:
    """Its library reports no close code that comes before the first packet."""
    gateway = await start_gateway(SOCKETIO=mode, **SETTINGS)
    refused = "Origin: https://evil.test" if mode == "translate" else ORIGIN
    client = await asked(dial, gateway, refused, target="/socket.io/?EIO=4&transport=websocket")
    assert client.head.status == (403 if mode == "translate" else 401)


async def test_without_the_setting_a_page_gets_http(start_gateway: StartGateway, dial: Dial) -> None:
    assert (await asked(dial, await start_gateway(), ORIGIN)).head.status == 401


async def test_an_admitted_page_is_served(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint(), extra=[ORIGIN, "Sec-WebSocket-Extensions: permessage-deflate"]))
    end = await studio.arrival()
    accept(end, "Sec-WebSocket-Extensions: permessage-deflate")
    assert (await client.read_head()).get("sec-websocket-extensions") == "permessage-deflate"
    end.send(TEXT, "welcome")
    assert await client.read_message() == (TEXT, b"welcome")


async def test_first_message_auth_keeps_its_own_codes(start_gateway: StartGateway, dial: Dial) -> None:
    gateway = await start_gateway(FIRST_MESSAGE_AUTH="true", **SETTINGS)
    client = await asked(dial, gateway, ORIGIN)
    client.send(TEXT, "no auth message")
    assert (await client.read_close())[0] == 1008
    client = await asked(dial, gateway, ORIGIN, token="bad")
    assert await client.read_close() == (4401, "token_invalid"), "the token was in the handshake"


async def test_a_page_that_does_not_close_is_dropped_after_a_second(gateway: Gateway, dial: Dial) -> None:
    client = await asked(dial, gateway, ORIGIN)
    assert await client.read_close() == (4401, "token_missing")
    began = asyncio.get_running_loop().time()
    await until(lambda: nobody_is_left(gateway))
    assert 0.5 < asyncio.get_running_loop().time() - began < 2


PROGRAM = """
const [url, ...protocols] = process.argv.slice(1);
const socket = new WebSocket(url, { protocols, headers: { origin: "https://app.test" } });
socket.onopen = () => console.log(JSON.stringify({ open: socket.protocol }));
socket.onclose = ({ code, reason, wasClean }) => console.log(JSON.stringify({ code, reason, wasClean }));
"""


@pytest.mark.one_loop
async def test_node(start_gateway: StartGateway) -> None:
    """Node's own WebSocket has the interface of browsers; only the headers are an extension of it."""
    gateway = await start_gateway(BROWSER_REFUSALS="true")
    url = f"ws://127.0.0.1:{gateway.port}/ws"
    async with running(*node(), "--eval", PROGRAM, "--", url, "bearer", "no.good.token") as process:
        assert process.stdout is not None
        told: list[dict[str, Any]] = [json.loads(line) async for line in process.stdout]
    assert told == [{"open": "bearer"}, {"code": 4401, "reason": "token_invalid", "wasClean": True}]
