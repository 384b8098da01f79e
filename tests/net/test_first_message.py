"""The token in the first message (spec §1): the upgrade is answered before Auth and Studio are asked."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.net.pair import Dial, GatewayLog, StartGateway, nobody_is_left, until
from tests.net.scripted_studio import ScriptedStudio, accept
from tests.net.wire import BINARY, CONT, PING, PONG, TEXT, Peer, accept_for, build, upgrade_request

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway(FIRST_MESSAGE_AUTH="true")


async def upgraded(dial: Dial, gateway: Gateway, *extra: str) -> Peer:
    """Connect without a token: the upgrade is accepted."""
    client = await dial(gateway)
    client.write(upgrade_request(extra=extra))
    assert (await client.read_head()).status == 101
    return client


def auth_message(token: str) -> str:
    return json.dumps({"type": "auth", "data": {"token": token}})


async def closed(client: Peer, code: int, words: str, gateway: Gateway) -> None:
    assert await client.read_close() == (code, words)
    client.send_close(code)
    assert await client.read_rest() == b""
    client.leave()
    await until(lambda: nobody_is_left(gateway))


async def test_the_token_lets_the_client_in_and_is_not_passed_on(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await upgraded(dial, gateway, "Sec-WebSocket-Extensions: permessage-deflate")
    assert client.head.get("sec-websocket-extensions") == "", "Studio was not asked yet, so none is accepted"
    token = auth.mint("user 1")
    client.send(TEXT, auth_message(token))
    asked = await studio.arrival()
    assert asked.head.target == "/ws?user_id=user%201"
    assert token not in str(asked.head)
    assert asked.head.get("sec-websocket-extensions") == ""
    own_key = asked.head.get("sec-websocket-key")
    assert accept_for(own_key) != client.head.get("sec-websocket-accept"), "the key is the gateway's own"
    accept(asked)
    asked.send(TEXT, "welcome")
    assert await client.read_message() == (TEXT, b"welcome")
    client.send(TEXT, "hello")
    assert await asked.read_message() == (TEXT, b"hello")


async def test_what_comes_right_behind_the_token_reaches_studio_as_it_is(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """Also when it is more than is kept while Auth and Studio are asked."""
    client = await upgraded(dial, gateway)
    behind = client.frame(PING, b"mine") + client.frame(BINARY, bytes(300_000)) + client.frame(TEXT, "last")
    client.write(client.frame(TEXT, auth_message(auth.mint())) + behind)
    asked = await studio.arrival()
    accept(asked)
    assert await asked.read(len(behind)) == behind


async def test_the_message_may_be_fragmented_with_pings_between(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await upgraded(dial, gateway)
    text = auth_message(auth.mint())
    client.send(PING, b"before")
    assert await client.read_message() == (PONG, b"before")
    client.send(TEXT, text[:10], fin=False)
    client.send(PING, b"between")
    client.send(PONG, b"unasked for")
    assert await client.read_message() == (PONG, b"between")
    frame = client.frame(CONT, text[10:])
    for index in range(len(frame)):
        client.write(frame[index : index + 1])
        await client.writer.drain()
    accept(await studio.arrival())


async def test_a_token_in_the_handshake_still_counts(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint()))
    asked = await studio.arrival()
    accept(asked)
    assert (await client.read_head()).status == 101
    client.send(TEXT, auth_message("just a message now"))
    assert (await asked.read_frame()).opcode == TEXT


async def test_a_subprotocol_is_chosen_and_offered_to_studio(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await upgraded(dial, gateway, "Sec-WebSocket-Protocol: json.v1, json.v2")
    assert client.head.get("sec-websocket-protocol") == "json.v1"
    client.send(TEXT, auth_message(auth.mint()))
    asked = await studio.arrival()
    assert asked.head.get("sec-websocket-protocol") == "json.v1"


async def test_a_studio_that_selects_no_subprotocol_is_logged_and_used(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, log: GatewayLog
) -> None:
    gateway = await start_gateway(FIRST_MESSAGE_AUTH="true", LOG_LEVEL="debug")
    client = await upgraded(dial, gateway, "Sec-WebSocket-Protocol: json.v1, json.v2", "X-Request-ID: id-1")
    client.send(TEXT, auth_message(auth.mint()))
    asked = await studio.arrival()
    accept(asked)
    asked.send(TEXT, "welcome")
    assert await client.read_message() == (TEXT, b"welcome")
    line = await log.line("subprotocol_unselected")
    assert (line["level"], line["request_id"], line["backend"]) == ("debug", "id-1", studio.url)
    assert "json.v1" not in str(line), "a client may have sent a secret"


LIKE_A_TOKEN = ["aGVhZA.cGF5bG9hZA.c2ln", "x" * 65]


async def test_a_lone_subprotocol_that_looks_like_a_token_is_one(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """Auth is asked before the 101, and neither Studio nor the answer has it."""
    token = auth.mint("u7")
    client = await dial(gateway)
    client.write(upgrade_request(extra=[f"Sec-WebSocket-Protocol: {token}"]))
    asked = await studio.arrival()
    assert asked.head.get("x-user-id") == "u7"
    assert token not in str(asked.head)
    accept(asked)
    answer = await client.read_head()
    assert (answer.status, answer.get("sec-websocket-protocol")) == (101, "")


@pytest.mark.parametrize("token", LIKE_A_TOKEN)
async def test_a_lone_subprotocol_that_is_a_bad_token_is_refused_before_the_101(
    gateway: Gateway, dial: Dial, token: str
) -> None:
    client = await dial(gateway)
    client.write(upgrade_request(extra=[f"Sec-WebSocket-Protocol: {token}"]))
    answer = await client.read_head()
    assert (answer.status, json.loads(answer.body)["code"]) == (401, "token_invalid")
    assert token not in str(answer)


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        pytest.param("opaque-token", "opaque-token", id="short and opaque"),
        pytest.param("x" * 64, "x" * 64, id="just short enough"),
        pytest.param("v1.json", "v1.json", id="two parts"),
        pytest.param("wamp.2.json, wamp.2.msgpack", "wamp.2.json", id="three parts, but not alone"),
        pytest.param("x" * 65 + ", v1", "v1", id="too long, not alone"),
    ],
)
async def test_any_other_subprotocol_is_one(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, offered: str, selected: str
) -> None:
    client = await upgraded(dial, gateway, f"Sec-WebSocket-Protocol: {offered}")
    assert client.head.get("sec-websocket-protocol") == selected
    client.send(TEXT, auth_message(auth.mint()))
    assert (await studio.arrival()).head.get("sec-websocket-protocol") == selected


async def test_a_copy_of_the_late_token_does_not_reach_studio(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    token = auth.mint()
    client = await dial(gateway)
    cookie = f"Cookie: a=1; session={token}"
    client.write(upgrade_request(target=f"/ws?session={token}&b=2", extra=[cookie]))
    assert (await client.read_head()).status == 101
    client.send(TEXT, auth_message(token))
    head = (await studio.arrival()).head
    assert (head.target, head.get("cookie")) == ("/ws?user_id=u1&b=2", "a=1")


async def test_a_subprotocol_that_is_the_late_token_does_not_reach_studio(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    auth.script("error", status=200, body='{"valid":true,"user_id":"u1"}', times=1)
    client = await upgraded(dial, gateway, "Sec-WebSocket-Protocol: opaque")
    client.send(TEXT, auth_message("opaque"))
    assert "opaque" not in str((await studio.arrival()).head)


MUST_BE = 'the first message must be {"type":"auth","data":{"token":"…"}}'


@pytest.mark.parametrize(
    ("first", "words"),
    [
        pytest.param((TEXT, b"hello"), MUST_BE, id="no JSON"),
        pytest.param((TEXT, b"[]"), MUST_BE, id="a list"),
        pytest.param((TEXT, b'{"type": "heartbeat"}'), MUST_BE, id="another message"),
        pytest.param((TEXT, b'{"type": "auth", "data": {"token": 7}}'), MUST_BE, id="a number"),
        pytest.param((TEXT, b'{"type": "auth", "data": {"token": ""}}'), MUST_BE, id="empty"),
        pytest.param((TEXT, b"[" * 10_000), MUST_BE, id="deeply nested"),
        pytest.param((TEXT, b"\xff\xfe{}"), MUST_BE, id="no UTF-8"),
        pytest.param((BINARY, bytes(17_000)), "the auth message is too big", id="too big"),
    ],
)
async def test_another_first_message(
    gateway: Gateway, dial: Dial, log: GatewayLog, first: tuple[int, bytes], words: str
) -> None:
    client = await upgraded(dial, gateway)
    client.send(*first)
    await closed(client, 1008, words, gateway)
    line = await log.line("refused")
    assert (line["cause"], line["code"]) == ("auth_late", 1008)


async def test_fragments_without_end(gateway: Gateway, dial: Dial) -> None:
    client = await upgraded(dial, gateway)
    client.send(TEXT, bytes(10_000), fin=False)
    client.send(CONT, bytes(10_000), fin=False)
    assert (await client.read_close())[0] == 1009
    client.leave()
    await until(lambda: nobody_is_left(gateway))


async def test_a_frame_that_breaks_the_protocol(gateway: Gateway, dial: Dial) -> None:
    client = await upgraded(dial, gateway)
    client.write(build(TEXT, b"not masked"))
    code, _ = await client.read_close()
    assert code == 1002
    client.leave()
    await until(lambda: nobody_is_left(gateway))


async def test_no_message_in_time(start_gateway: StartGateway, dial: Dial) -> None:
    gateway = await start_gateway(FIRST_MESSAGE_AUTH="true", FIRST_MESSAGE_SECONDS="0.1")
    client = await upgraded(dial, gateway)
    client.send(PING)  # pings gain no time
    assert await client.read_message() == (PONG, b"")
    await closed(client, 1008, "the first message must be auth, in time", gateway)


async def test_a_refused_token_is_4401(gateway: Gateway, dial: Dial, auth: FakeAuth) -> None:
    client = await upgraded(dial, gateway)
    client.send(TEXT, auth_message(auth.mint(kind="expired")))
    await closed(client, 4401, "the token is not valid", gateway)


async def test_an_auth_that_fails_is_1013(gateway: Gateway, dial: Dial, auth: FakeAuth) -> None:
    auth.script("error", status=500, times=1)
    client = await upgraded(dial, gateway)
    client.send(TEXT, auth_message(auth.mint()))
    await closed(client, 1013, "Auth cannot answer now, retry later", gateway)


async def test_a_studio_that_refuses_is_4000_and_its_status(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await upgraded(dial, gateway)
    client.send(TEXT, auth_message(auth.mint()))
    asked = await studio.arrival()
    asked.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    await closed(client, 4403, "Studio refused the connection", gateway)


@pytest.mark.parametrize("how", ["finish", "reset"])
async def test_the_client_leaves_before_its_message(
    gateway: Gateway, dial: Dial, log: GatewayLog, how: str
) -> None:
    client = await upgraded(dial, gateway)
    getattr(client, how)()
    await until(lambda: nobody_is_left(gateway))
    line = await log.line("refused")
    assert (line["cause"], line["code"]) == ("client_left", None)


async def test_the_client_closes_instead(gateway: Gateway, dial: Dial) -> None:
    client = await upgraded(dial, gateway)
    client.send_close(1000, "never mind")
    assert await client.read_close() == (1000, "never mind")
    assert await client.read_rest() == b""
    client.leave()
    await until(lambda: nobody_is_left(gateway))


async def test_stopping_the_gateway_while_it_waits(gateway: Gateway, dial: Dial) -> None:
    client = await upgraded(dial, gateway)
    async with asyncio.timeout(2):
        await gateway.stop()
    assert await client.read_close() == (1001, "the gateway is shutting down")


async def test_many_small_frames_before_it_are_not_read(gateway: Gateway, dial: Dial) -> None:
    """A frame costs more than its bytes: a few megabytes of them would stop everybody for seconds."""
    client = await upgraded(dial, gateway)
    client.write(client.frame(PONG) * 2000)
    await closed(client, 1008, "too many frames before the auth message", gateway)
