"""What Studio sees of a handshake, and what the client gets of its answer (spec §3)."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import zlib

import pytest
from tests.net.pair import Dial, Join, StartGateway
from tests.net.scripted_studio import ScriptedStudio, accept
from tests.net.wire import KEY, PING, PONG, TEXT, Peer, accept_for, build, upgrade_request

from memmie_fake_auth import FakeAuth
from memmie_gateway.core.backends.health import HealthTracker
from memmie_gateway.core.websocket.handshake import Offer
from memmie_gateway.net.backends.backend import Backend, BackendUrl
from memmie_gateway.net.backends.dialer import Dialer, DialError
from memmie_gateway.net.http1.resolver import Resolver

DEFLATE = "permessage-deflate; client_max_window_bits"


async def asked(
    gateway_settings: dict[str, str],
    start_gateway: StartGateway,
    dial: Dial,
    studio: ScriptedStudio,
    request: bytes,
) -> Peer:
    """Return Studio's end of a handshake that a client began with `request`."""
    client = await dial(await start_gateway(**gateway_settings))
    client.write(request)
    return await studio.arrival()


async def test_the_headers_as_studio_sees_them(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    token = auth.mint("u1")
    extra = ["User-Agent: test/1", "Accept-Language: en", "Cookie: a=b", "Origin: https://app.test"]
    head = (await asked({}, start_gateway, dial, studio, upgrade_request(token, extra=extra))).head
    host = studio.url.removeprefix("ws://").removesuffix("/ws")
    expected = {
        "host": host,
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "x-user-id": "u1",
        "x-real-ip": "127.0.0.1",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "gateway.test",
        "user-agent": "test/1",
        "accept-language": "en",
        "cookie": "a=b",
    }
    assert {name: head.get(name) for name in expected} == expected
    assert re.fullmatch(r"[0-9a-f]{32}", head.get("x-request-id"))
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", head.get("traceparent"))
    assert token not in str(head)
    assert head.get("authorization") == ""


async def test_a_client_cannot_speak_for_another(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    forged = [
        "X-User-ID: admin",
        "X_User_ID: admin",
        "X-Forwarded-For: 10.9.9.9",
        "X-Forwarded-Host: evil.test",
        "X-Forwarded-Proto: https",
        "X-Real-IP: 10.9.9.9",
        "Forwarded: for=10.9.9.9",
        "Proxy-Authorization: Basic x",
        "Connection: X-Dropped",
        "X-Dropped: 1",
    ]
    request = upgrade_request(auth.mint("u1"), target="/ws?user_id=admin&room=7", extra=forged)
    head = (await asked({}, start_gateway, dial, studio, request)).head
    assert head.target == "/ws?user_id=u1&room=7"
    text = str(head)
    for word in ("admin", "10.9.9.9", "evil", "Basic", "x-dropped", "https"):
        assert word not in text


async def test_a_trusted_proxy_is_believed(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    told = [
        "X-Forwarded-For: 6.6.6.6, 203.0.113.9",
        "X-Forwarded-Host: app.test",
        "X-Forwarded-Proto: https",
    ]
    trust = {"TRUSTED_PROXIES": "127.0.0.0/8"}
    head = (await asked(trust, start_gateway, dial, studio, upgrade_request(auth.mint(), extra=told))).head
    assert head.get("x-forwarded-for") == "203.0.113.9, 127.0.0.1"
    assert head.get("x-forwarded-host") == "app.test"
    assert head.get("x-forwarded-proto") == "https"


@pytest.mark.parametrize(
    ("user", "target", "header"),
    [
        ("u1", "user_id=u1", "u1"),
        ("a b&c=d/e?f#g", "user_id=a%20b%26c%3Dd%2Fe%3Ff%23g", "a%20b&c=d/e?f#g"),
        ("100%", "user_id=100%25", "100%25"),
        ("jürgen", "user_id=j%C3%BCrgen", "j%C3%BCrgen"),
    ],
)
async def test_a_user_id_is_percent_encoded(
    start_gateway: StartGateway,
    dial: Dial,
    auth: FakeAuth,
    studio: ScriptedStudio,
    user: str,
    target: str,
    header: str,
) -> None:
    head = (await asked({}, start_gateway, dial, studio, upgrade_request(auth.mint(user)))).head
    assert head.target == f"/ws?{target}"
    assert head.get("x-user-id") == header


async def test_the_query_passes_but_for_the_token(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    target = f"/ws?a=1&token={auth.mint()}&b=%C3%BC+x&c=&a=2"
    head = (await asked({}, start_gateway, dial, studio, upgrade_request(target=target))).head
    assert head.target == "/ws?user_id=u1&a=1&b=%C3%BC+x&c=&a=2"


async def test_ids_of_the_client_are_kept(join: Join) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-00"
    pair = await join(extra=("X-Request-ID: my-request", f"traceparent: {trace}"))
    assert pair.studio.head.get("x-request-id") == "my-request"
    assert pair.studio.head.get("traceparent") == trace
    assert pair.client.head.get("x-request-id") == "my-request"


async def test_the_answer_of_studio_is_passed_on(join: Join) -> None:
    pair = await join(answer=("X-Studio-Version: 7", "Set-Cookie: a=b", "Keep-Alive: timeout=5"))
    head = pair.client.head
    assert (head.get("x-studio-version"), head.get("set-cookie")) == ("7", "a=b")
    assert (head.get("keep-alive"), head.get("connection")) == ("", "Upgrade")


@pytest.mark.parametrize(
    ("offered", "seen", "chosen", "answered"),
    [
        pytest.param("json.v2, json.v1", "json.v2, json.v1", "json.v1", "json.v1", id="Studio chooses"),
        pytest.param("json.v1, json.v2", "json.v1, json.v2", "", "", id="Studio chooses none"),
        pytest.param("bearer, {token}", "", "", "bearer", id="the token there"),
        pytest.param("bearer, {token}, json.v1", "json.v1", "json.v1", "json.v1", id="token and subprotocol"),
        pytest.param("bearer, {token}, json.v1", "json.v1", "", "bearer", id="token, Studio chooses none"),
        pytest.param("{token}", "", "", "", id="a lone token, as in the seed"),
    ],
)
async def test_subprotocols(
    start_gateway: StartGateway,
    dial: Dial,
    auth: FakeAuth,
    studio: ScriptedStudio,
    offered: str,
    seen: str,
    chosen: str,
    answered: str,
) -> None:
    token = auth.mint()
    client = await dial(await start_gateway())
    header = f"Sec-WebSocket-Protocol: {offered.format(token=token)}"
    client.write(upgrade_request(None if "{token}" in offered else token, extra=[header]))
    asked = await studio.arrival()
    assert asked.head.get("sec-websocket-protocol") == seen
    accept(asked, *([f"Sec-WebSocket-Protocol: {chosen}"] if chosen else []))
    answer = await client.read_head()
    assert (answer.status, answer.get("sec-websocket-protocol")) == (101, answered)
    assert token not in str(answer)


def deflated(text: bytes) -> bytes:
    """Compress a message (RFC 7692 §7.2.1)."""
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


async def test_compressed_messages_pass_as_they_are(join: Join) -> None:
    pair = await join(
        extra=(f"Sec-WebSocket-Extensions: {DEFLATE}",),
        answer=("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover",),
    )
    assert pair.studio.head.get("sec-websocket-extensions") == DEFLATE
    accepted = "permessage-deflate; server_no_context_takeover"
    assert pair.client.head.get("sec-websocket-extensions") == accepted
    payload = deflated(b"memory " * 1000)
    for sender, receiver in ((pair.client, pair.studio), (pair.studio, pair.client)):
        sender.send(TEXT, payload, reserved=0x40)
        sender.send(TEXT, payload[:5], fin=False, reserved=0x40)
        sender.send(PING, "between")
        sender.send(0, payload[5:])
        for expected in ((TEXT, 0x40, payload), (TEXT, 0x40, payload[:5]), (PING, 0, b"between")):
            frame = await receiver.read_frame()
            assert (frame.opcode, frame.reserved, frame.payload) == expected
        assert (await receiver.read_frame()).payload == payload[5:]
    pair.client.send(PONG, "x", reserved=0x40)  # a control frame is never compressed
    assert (await pair.studio.read_close())[0] == 1001
    pair.studio.send_close(1001)
    assert (await pair.client.read_close())[0] == 1002


async def test_an_extension_that_studio_did_not_accept_is_not_spoken(join: Join) -> None:
    pair = await join(extra=(f"Sec-WebSocket-Extensions: {DEFLATE}",))
    assert pair.client.head.get("sec-websocket-extensions") == ""
    pair.studio.write(build(TEXT, deflated(b"hello"), reserved=0x40))
    assert (await pair.client.read_close())[0] == 1002


async def test_the_next_studio_is_asked_where_one_fails(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """The client is answered once, by the one that accepts."""
    async with ScriptedStudio() as second:
        gateway = await start_gateway(STUDIO_WS_URLS=f"{studio.url},{second.url}", LB_STRATEGY="round_robin")
        client = await dial(gateway)
        client.write(upgrade_request(auth.mint()))
        first_asked = await studio.arrival()
        first_asked.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        asked = await second.arrival()
        assert asked.head.get("sec-websocket-key") == first_asked.head.get("sec-websocket-key")
        accept(asked)
        assert (await client.read_head()).status == 101
        asked.send(TEXT, "here I am")
        assert await client.read_message() == (TEXT, b"here I am")
        client.leave()


async def test_neither_end_can_have_the_handshake_s_own_headers_dropped(join: Join) -> None:
    """Of what the Connection header names, they are not hop by hop: without them the other end would fail."""
    pair = await join(
        extra=("Connection: sec-websocket-key, sec-websocket-version, x-hop", "X-Hop: 1"),
        answer=("Connection: sec-websocket-accept, x-hop", "X-Hop: 1"),
    )
    assert pair.studio.head.get("sec-websocket-version") == "13"
    assert pair.studio.head.get("sec-websocket-key") == KEY
    assert pair.client.head.get("sec-websocket-accept") == accept_for(KEY)
    assert not pair.studio.head.get("x-hop") + pair.client.head.get("x-hop")
    await pair.exchange()


async def test_the_root_certificates_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading them takes tens of milliseconds, in which nobody is served."""
    make = ssl.create_default_context
    made: list[ssl.SSLContext] = []

    def count() -> ssl.SSLContext:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", count)
    dialer = Dialer(Resolver())
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        where = BackendUrl.parse(f"wss://127.0.0.1:{taken.getsockname()[1]}/ws")
        for _ in range(2):
            with pytest.raises(DialError):
                await dialer.dial(Backend(where, HealthTracker(rise=1, fall=1)), b"", Offer(b""), 5)
    assert len(made) == 1


async def test_the_headers_of_an_interim_answer_are_not_those_of_the_101(
    start_gateway: StartGateway, dial: Dial, studio: ScriptedStudio, auth: FakeAuth
) -> None:
    client = await dial(await start_gateway())
    client.write(upgrade_request(auth.mint("u1")))
    peer = await studio.arrival()
    peer.write(b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n")
    accept(peer, "X-Late: 1")
    answer = await client.read_head()
    assert (answer.status, answer.get("x-early"), answer.get("x-late")) == (101, "", "1")


async def test_a_studio_whose_answer_is_not_accepted_is_let_go(
    start_gateway: StartGateway, dial: Dial, studio: ScriptedStudio, auth: FakeAuth
) -> None:
    """It waits for frames; nobody else would ever end that connection."""
    client = await dial(await start_gateway())
    client.write(upgrade_request(auth.mint("u1")))
    peer = await studio.arrival()
    peer.write(b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        assert await peer.read_rest() == b""
    assert (await client.read_head()).status == 503
