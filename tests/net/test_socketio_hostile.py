"""Clients that speak Socket.IO and mean harm: nobody else pays, and nothing is held for ever."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.net.pair import Dial, GatewayLog, StartGateway, nobody_is_left, sessions_of, until
from tests.net.scripted_studio import ScriptedStudio, accept
from tests.net.socketio import PollingPeer, SocketIoPeer, problem, upgrade

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.json_text import WINDOW
from memmie_gateway.net import clock
from memmie_gateway.net.socketio import polling as polling_carrier
from memmie_gateway.net.socketio import upgrade as upgrading
from memmie_gateway.net.socketio.client import TranslatedClient
from memmie_gateway.net.socketio.heartbeat import MOST_PAYLOADS
from memmie_gateway.net.socketio.polling import PollingCarrier
from memmie_harness.conformance.peers import CLOSE, CONT, PING, PONG, TEXT

pytestmark = pytest.mark.one_loop

WIDE = "40/" + "x" * 400_000 + ","
"""CONNECT to a namespace with a long name, which its answer repeats."""


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@pytest.fixture
async def polling(gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio) -> PollingPeer:
    """A client that polls and is connected."""
    return await (await PollingPeer.dial(dial, gateway)).connect(auth.mint("u1"), studio)


def carrier_of(gateway: Gateway) -> PollingCarrier:
    """Return the carrier of the only client that polls."""
    assert gateway.parts.socketio is not None
    (carrier,) = gateway.parts.socketio._polling.values()
    return carrier


def client_of(gateway: Gateway) -> TranslatedClient:
    """Return the only client that has a session."""
    (session,) = sessions_of(gateway)
    client = session._client.transport
    assert isinstance(client, TranslatedClient)
    return client


async def test_a_page_of_the_gateways_own_origin(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """Its browser sends an Origin with POSTs and WebSockets, but not with GETs."""
    client = await PollingPeer.dial(dial, gateway)
    client._extra = ("Origin: https://gateway",)
    assert await client.post(f'40{{"token":"{auth.mint()}"}}') == "ok"
    client.studio = await studio.arrival()
    accept(client.studio)
    client._extra = ()
    assert (await client.read()).startswith("40")
    assert problem(await client.ask("POST", body=b'42["a"]')) == (400, 3)
    client._extra = ("Origin: https://another",)
    assert problem(await client.ask("GET")) == (400, 3)
    client._extra = ("Origin: https://gateway",)
    await client.go_on()


async def test_an_origin_that_is_not_allowed_gets_no_connection_either(
    start_gateway: StartGateway, dial: Dial
) -> None:
    gateway = await start_gateway(ALLOWED_ORIGINS="https://a")
    client = await PollingPeer.dial(dial, gateway)
    client._extra = ("Origin: https://b",)
    assert problem(await client.ask("POST", body=b"6")) == (400, 3)


async def test_what_follows_a_bad_upgrade_at_once(polling: PollingPeer) -> None:
    bugs: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: bugs.append(context))
    peer = await polling.upgrade()
    peer.write(peer.frame(TEXT, "x") + peer.frame(CLOSE, b"\x03\xe8"))
    assert await peer.read_close() == (1002, "this is not an upgrade")
    peer.leave()
    assert await polling.post('42["a"]') == "ok"
    assert bugs == []


async def test_fragments_count_in_the_rate(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """Otherwise one message of a million fragments would be a million times as much work for one of its quota."""
    gateway = await start_gateway(MESSAGE_RATE_PER_USER="50", MESSAGE_BURST_PER_USER="5")
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    client.peer.send(TEXT, '42["a"', fin=False)
    client.peer.write(client.peer.frame(CONT, "", fin=False) * 2000)
    (session,) = sessions_of(gateway)
    await until(lambda: session._client.held)
    reader = client_of(gateway).carrier._reader  # type: ignore[attr-defined]
    assert len(reader._fragments) == 1, "empty ones take no memory"


async def test_fragments_before_connect_are_limited(gateway: Gateway, dial: Dial) -> None:
    client = await SocketIoPeer.dial(dial, gateway)
    client.peer.send(TEXT, "4", fin=False)
    client.peer.write(client.peer.frame(CONT, "", fin=False) * 100)
    assert (await client.read_close())[0] == 1008


async def test_a_large_event_counts_as_several_messages(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    data = f"[{','.join(['[]'] * 20_000)}]"
    packet = f'2["a",{data}]'
    client.send(f"4{packet}")
    assert (await client.studio.read_message())[1] == f'{{"type":"a","data":{data}}}'.encode()
    for _ in range(len(packet) // WINDOW):
        assert await client.studio.read_message() == (PONG, b"")
    client.send('42["b"]')
    assert await client.studio.read_message() == (TEXT, b'{"type":"b"}')


async def test_a_large_event_that_is_refused_counts_as_several_messages(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """The gateway has read it as a whole."""
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    packet = f'2["a",1,"{"x" * 10 * WINDOW}"]'
    client.send(f"4{packet}")
    assert (await client.read()).startswith('42["error",')
    for _ in range(1 + len(packet) // WINDOW):
        assert await client.studio.read_message() == (PONG, b"")
    client.send('42["b"]')
    assert await client.studio.read_message() == (TEXT, b'{"type":"b"}')


async def test_answers_that_are_not_read_stop_a_websocket(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    carrier = client_of(gateway).carrier
    transport = client.peer.writer.transport
    transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(40):
        client.send(WIDE)
    await until(lambda: bool(carrier._holds))  # type: ignore[attr-defined]
    assert carrier.waiting() < 3 * len(WIDE)
    transport.resume_reading()  # type: ignore[attr-defined]
    for _ in range(40):
        assert (await client.read()).startswith("44/xxx")


async def test_answers_that_are_not_polled_stop_the_posts(polling: PollingPeer, gateway: Gateway) -> None:
    post = await polling.begin("POST", body=f'{WIDE}\x1e42["behind"]'.encode())
    carrier = carrier_of(gateway)
    await until(lambda: carrier._unread)
    assert problem(await polling.ask("POST", body=b"6")) == (400, 3), "the first one waits"
    assert (await polling.read()).startswith("44/xxx")
    assert (await post.read_head()).body == b"ok"
    for _ in range(1 + len(WIDE) // WINDOW):
        assert (await polling.studio.read_message())[0] == PONG
    assert await polling.studio.read_message() == (TEXT, b'{"type":"behind"}')


async def test_a_post_waits_for_the_answer_to_the_last_one(polling: PollingPeer, gateway: Gateway) -> None:
    """Otherwise each of them would hold a connection that counts nowhere."""
    carrier = carrier_of(gateway)
    carrier._next_post = asyncio.get_running_loop().time() + 0.2
    first = await polling.begin("POST", body=b"6")
    await until(lambda: carrier._answering is not None)
    assert problem(await polling.ask("POST", body=b"6")) == (400, 3)
    assert (await first.read_head()).body == b"ok"


@pytest.mark.parametrize(
    ("body", "length", "status", "code"),
    [(b"", 1 << 40, 413, 1009), (b"\x1e", 1, 400, 1002)],
)
async def test_a_bad_post_ends_the_session(
    polling: PollingPeer, log: GatewayLog, body: bytes, length: int, status: int, code: int
) -> None:
    refused = await polling.begin("POST", body=body, length=length)
    assert (await refused.read_head()).status == status
    detail = (await log.line("refused"))["detail"]
    assert (status == 413) is detail.endswith("1048576 bytes; MAX_MESSAGE_BYTES sets this limit")
    assert problem(await polling.ask("POST", body=b"6")) == (400, 3)
    assert (await polling.studio.read_close())[0] == 1001
    polling.studio.send_close(1001)
    assert json.loads((await polling.read())[2:])[1]["code"] == code


async def test_a_pause_of_the_gateway_is_not_the_silence_of_a_client(
    polling: PollingPeer, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After SIGCONT, its timers are due before it has read the next GET."""
    carrier = carrier_of(gateway)
    monkeypatch.setattr(clock, "pauses", lambda: 1)
    carrier._silent(0)
    post = await polling.begin("POST", body=b'42["a"]')
    assert await polling.studio.read_message() == (TEXT, b'{"type":"a"}')
    assert (await post.read_head()).body == b"ok"
    carrier._silent(1)
    assert (await polling.studio.read_close())[0] == 1001


@pytest.mark.parametrize("cause", [Cause.DRAINING, Cause.MOVED])
async def test_a_post_under_way_is_forwarded_when_the_client_is_told_to_go(
    polling: PollingPeer, gateway: Gateway, cause: Cause
) -> None:
    """As messages before the Close frame of a plain client; a POST that comes later is not answered with "ok"."""
    carrier = carrier_of(gateway)
    post = await polling.begin("POST", body=b'42["a"', length=7)
    await until(lambda: carrier._reading is not None)
    (session,) = sessions_of(gateway)
    session.end(cause)
    assert json.loads((await polling.read())[2:])[1]["code"] == cause.close_code
    post.write(b"]")
    assert await polling.studio.read_message() == (TEXT, b'{"type":"a"}')
    assert (await post.read_head()).body == b"ok"
    assert (await polling.studio.read_close())[0] == cause.close_code
    assert problem(await polling.ask("POST", body=b'42["b"]'))[0] == 400


@pytest.mark.parametrize("lost", [False, True])
async def test_a_bad_post_under_way_does_not_delay_the_end(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, *, lost: bool
) -> None:
    """The session waited for the whole CLOSE_TIMEOUT_SECONDS."""
    gateway = await start_gateway(CLOSE_TIMEOUT_SECONDS="30")
    polling = await (await PollingPeer.dial(dial, gateway)).connect(auth.mint("u1"), studio)
    carrier = carrier_of(gateway)
    post = await polling.begin("POST", length=1)
    await until(lambda: carrier._reading is not None)
    (session,) = sessions_of(gateway)
    session.end(Cause.DRAINING)
    assert json.loads((await polling.read())[2:])[1]["code"] == Cause.DRAINING.close_code
    if lost:
        post.reset()
    else:
        post.write(b"\x1e")
    assert (await polling.studio.read_close())[0] == Cause.DRAINING.close_code
    polling.studio.send_close(Cause.DRAINING.close_code)
    await until(lambda: not sessions_of(gateway))


async def test_a_refused_client_keeps_nothing(gateway: Gateway, dial: Dial) -> None:
    client = await PollingPeer.dial(dial, gateway)
    await client.post('40{"token":"wrong"}')
    carrier = carrier_of(gateway)
    await until(lambda: carrier.owner is None)
    await client.post("4" + "x" * 100_000)
    assert not carrier._inbox


async def test_a_client_that_is_lost_while_a_backend_is_dialled(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(PING_INTERVAL_SECONDS="0.1", PING_TIMEOUT_SECONDS="0.1")
    client = await PollingPeer.dial(dial, gateway)
    await client.post(f'40{{"token":"{auth.mint()}"}}')
    asked = await studio.arrival()
    assert gateway.parts.socketio is not None
    await until(lambda: not gateway.parts.socketio._polling)  # type: ignore[union-attr]
    accept(asked)
    assert (await asked.read_close())[0] == 1001
    asked.leave()
    await until(lambda: nobody_is_left(gateway))


async def test_refused_requests_of_a_known_sid_count_as_connects(
    start_gateway: StartGateway, dial: Dial
) -> None:
    gateway = await start_gateway(CONNECT_RATE_PER_IP="0.01", CONNECT_BURST_PER_IP="3")
    client = await PollingPeer.dial(dial, gateway)
    assert [(await client.ask("DELETE")).status for _ in range(3)] == [400, 400, 429]
    assert await client.post("6") == "ok"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (r"\ud800", "token_invalid"),
        (r"a\r\nX: y", "token_invalid"),
        (r"a\u0000", "token_invalid"),
        ("x" * 50_000, "token_too_long"),
        ("x" * 500_000, "token_too_long"),
    ],
)
async def test_tokens_that_are_no_tokens(gateway: Gateway, dial: Dial, token: str, code: str) -> None:
    client = await SocketIoPeer.dial(dial, gateway)
    client.send(f'40{{"token":"{token}"}}')
    assert json.loads((await client.read())[2:])["code"] == code


async def test_an_upgrade_in_one_piece_with_its_handshake(polling: PollingPeer) -> None:
    peer = await polling._dial(polling._gateway)
    frames = b"".join(peer.frame(TEXT, packet) for packet in ("2probe", "5", '42["behind"]'))
    peer.write(upgrade(polling.query.replace("polling", "websocket")) + frames)
    assert (await peer.read_head()).status == 101
    assert await SocketIoPeer(peer).read() == "3probe"
    assert await polling.studio.read_message() == (TEXT, b'{"type":"behind"}')


async def test_an_upgrade_has_a_time_limit_until_it_is_done(
    polling: PollingPeer, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrading, "UPGRADE_SECONDS", 0.3)
    after = await polling.go_on()
    after.send('42["a"]')
    assert await polling.studio.read_message() == (TEXT, b'{"type":"a"}')
    assert not gateway.parts.listener.pending, "it does not count as a connection of its address"
    over = asyncio.get_running_loop().time() + 0.4
    await until(lambda: asyncio.get_running_loop().time() > over)
    after.send('42["b"]')
    assert await polling.studio.read_message() == (TEXT, b'{"type":"b"}')


async def test_an_upgrade_that_is_never_done_ends(
    polling: PollingPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrading, "UPGRADE_SECONDS", 0.05)
    peer = await polling.upgrade()
    assert await peer.read_rest() == b""


async def test_an_upgrade_during_a_post_is_refused(polling: PollingPeer, gateway: Gateway) -> None:
    """Otherwise packets behind it would overtake those of the POST."""
    after = SocketIoPeer(await polling.upgrade())
    after.send("2probe")
    assert await after.read_packet() == "3probe"
    post = await polling.begin("POST", body=b'42["a"', length=7)
    carrier = carrier_of(gateway)
    await until(lambda: carrier._reading is not None)
    after.send("5")
    assert await after.read_close() == (1002, "this is not an upgrade")
    post.write(b"]")
    assert (await post.read_head()).body == b"ok"
    assert await polling.studio.read_message() == (TEXT, b'{"type":"a"}')


async def test_an_end_for_good_during_the_upgrade(polling: PollingPeer, gateway: Gateway) -> None:
    after = SocketIoPeer(await polling.upgrade())
    after.send("2probe")
    assert await after.read_packet() == "3probe"
    for session in gateway.parts.sessions:
        session.end(Cause.TOKEN_ENDED)
    after.send("5")
    assert json.loads((await after.read())[2:])[1]["code"] == 4401
    assert await after.read() == "41"
    assert (await after.read_close())[0] == 4401


async def test_a_refused_client_that_polls_once_is_forgotten_soon(
    gateway: Gateway, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only after the silence that a connected client may keep."""
    monkeypatch.setattr(polling_carrier, "LINGER_SECONDS", 0.05)
    client = await PollingPeer.dial(dial, gateway)
    await client.post('40{"token":"wrong"}')
    assert (await client.get())[0].startswith("44")
    await until(lambda: not gateway.parts.socketio._polling)  # type: ignore[union-attr]


async def test_of_many_pings_of_studio_the_last_ones_are_answered(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """Otherwise a Studio, or who controls it, fills the memory by the pings to a client that answers none."""
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    pings = [b"%d" % number for number in range(MOST_PAYLOADS + 2)]
    client.studio.write(b"".join(client.studio.frame(PING, payload) for payload in pings))
    assert await client.read_packet() == "2"
    client.send("3")
    for payload in pings[2:]:
        assert await client.studio.read_message() == (PONG, payload)


async def test_the_write_buffer_after_an_upgrade_is_that_of_the_settings(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(WRITE_BUFFER_BYTES="123456")
    polling = await (await PollingPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    client = client_of(gateway)
    after = await polling.go_on()
    after.send('42["a"]')
    assert await after.studio.read_message() == (TEXT, b'{"type":"a"}')
    assert client.carrier.transport is not None
    assert client.carrier.transport.get_write_buffer_limits()[1] == 123456


async def test_a_client_that_is_held_back_is_also_held_back_after_its_upgrade(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """Another connection of its user has used the quota up, so it starts held."""
    gateway = await start_gateway(MESSAGE_RATE_PER_USER="0.01", MESSAGE_BURST_PER_USER="5")
    token = auth.mint("u1")
    first = await (await SocketIoPeer.dial(dial, gateway)).connect(token, studio)
    for _ in range(5):
        first.send('42["a"]')
        assert await first.studio.read_message() == (TEXT, b'{"type":"a"}')
    polling = await (await PollingPeer.dial(dial, gateway)).connect(token, studio)
    carrier = carrier_of(gateway)
    client = carrier.owner
    assert isinstance(client, TranslatedClient)
    await until(lambda: carrier._paused)
    await polling.go_on()
    await until(lambda: client.carrier is not carrier)
    assert client.carrier._holds, "it is not read"  # type: ignore[attr-defined]
