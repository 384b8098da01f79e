"""Large texts of Socket.IO, which are read in slices: others go on meanwhile, and everybody's messages stay in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import Callable, Iterator

import pytest
from tests.net.pair import Dial, StartGateway, nobody_is_left, sessions_of, until
from tests.net.scripted_studio import ScriptedStudio
from tests.net.socketio import PollingPeer, SocketIoPeer

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio import json_text
from memmie_gateway.core.socketio.json_text import WINDOW, Slices
from memmie_gateway.core.websocket.messages import message_frame
from memmie_gateway.net.socketio import large_texts
from memmie_gateway.net.socketio.client import TranslatedClient
from memmie_gateway.net.socketio.large_texts import LargeTexts
from memmie_harness.conformance.peers import PING, PONG, TEXT, Peer

pytestmark = pytest.mark.one_loop

LIST = json.dumps([{"number": number} for number in range(2000)])
EVENT = f'42["large",{LIST}]'
MESSAGE = f'{{"type":"large","data":{LIST}}}'
PAID = len(EVENT) // WINDOW
"""How many messages it counts as, besides itself."""


# By themselves.


def work(name: str, slices: int, done: list[str], slowly: Callable[[], None] = lambda: None) -> Slices[None]:
    for number in range(slices):
        slowly()
        done.append(f"{name}{number}")
        yield
    done.append(name)


async def test_work_that_takes_no_longer_is_done_at_once() -> None:
    done: list[str] = []
    assert not LargeTexts().begin(work("a", 0, done))
    assert done == ["a"]


async def test_all_work_shares_the_time_equally(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_texts, "TURN_SECONDS", 60)
    done: list[str] = []
    texts = LargeTexts()
    assert texts.begin(work("a", 3, done))
    assert texts.begin(work("b", 2, done))
    assert done == ["a0", "b0"]
    await until(lambda: "a" in done)
    assert done == ["a0", "b0", "a1", "b1", "a2", "b", "a"]


async def test_work_that_is_closed_is_forgotten() -> None:
    done: list[str] = []
    texts = LargeTexts()
    closed = work("a", 9, done)
    texts.begin(closed)
    texts.begin(work("b", 1, done))
    closed.close()
    await until(lambda: not texts._waiting)
    assert done == ["a0", "b0", "b"]


async def test_a_bug_in_one_work_does_not_stop_the_rest() -> None:
    bugs: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: bugs.append(context["exception"]))

    def broken() -> Slices[None]:
        yield
        raise RuntimeError("a bug")

    done: list[str] = []
    texts = LargeTexts()
    texts.begin(broken())
    texts.begin(work("b", 1, done))
    await until(lambda: "b" in done)
    assert [str(bug) for bug in bugs] == ["a bug"]


async def test_the_garbage_collector_does_not_run_in_a_slice() -> None:
    """With it, a slice with many values takes 40 milliseconds."""
    collects: list[bool] = []
    texts = LargeTexts()
    texts.begin(work("a", 2, [], lambda: collects.append(gc.isenabled())))
    assert gc.isenabled()
    await until(lambda: not texts._waiting)
    assert gc.isenabled()
    assert collects == [False, False]
    gc.disable()
    try:
        texts.begin(work("a", 0, []))
        assert not gc.isenabled()
    finally:
        gc.enable()


async def test_others_have_as_much_time_as_large_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: time passes only in a slice here, one turn has two of them, and then waits for as long."""
    now = 0.0

    def take_time() -> None:
        nonlocal now
        now += 0.75 * large_texts.TURN_SECONDS

    monkeypatch.setattr("time.perf_counter", lambda: now)
    texts = LargeTexts()
    delays: list[float] = []
    go_on_after = texts._go_on_after

    def noting(seconds: float) -> None:
        delays.append(seconds)
        go_on_after(0.0)

    monkeypatch.setattr(texts, "_go_on_after", noting)
    done: list[str] = []
    texts.begin(work("a", 6, done, take_time))
    await until(lambda: "a" in done)
    assert delays[:3] == pytest.approx([0, *[1.5 * large_texts.TURN_SECONDS] * 2])


# In the gateway.


@contextlib.contextmanager
def held(gateway: Gateway) -> Iterator[LargeTexts]:
    """Let no large text go on before the end of the block."""
    assert gateway.parts.socketio is not None
    texts = gateway.parts.socketio._options.large_texts
    texts._timer = asyncio.get_running_loop().call_later(3600, lambda: None)
    try:
        yield texts
    finally:
        texts._timer.cancel()
        texts._timer = None
        texts._go_on_after(0.0)


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@pytest.fixture
async def client(gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio) -> SocketIoPeer:
    return await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint("u1"), studio)


async def texts_of(studio: Peer, count: int) -> list[bytes]:
    """Read so many text messages; pongs stand for what a large one counts."""
    texts: list[bytes] = []
    while len(texts) < count:
        opcode, payload = await studio.read_message()
        if opcode == TEXT:
            texts.append(payload)
        else:
            assert (opcode, payload) == (PONG, b"")
    return texts


async def test_others_go_on_while_a_large_event_is_read(
    gateway: Gateway, client: SocketIoPeer, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    other = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint("u2"), studio)
    with held(gateway) as texts:
        client.send('42["before"]')
        client.send(EVENT)
        client.send('42["behind"]')
        assert await client.studio.read_message() == (TEXT, b'{"type":"before"}')
        await until(lambda: bool(texts._waiting))
        other.send('42["a"]')
        assert await other.studio.read_message() == (TEXT, b'{"type":"a"}')
        other.studio.send(TEXT, '{"type":"b"}')
        assert await other.read() == '42["b"]'
        client.studio.send(TEXT, '{"type":"to the same client"}')
        assert await client.read() == '42["to the same client"]'
    assert await texts_of(client.studio, 2) == [MESSAGE.encode(), b'{"type":"behind"}']


async def test_others_go_on_while_a_large_message_is_translated(
    gateway: Gateway, client: SocketIoPeer, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    other = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint("u2"), studio)
    with held(gateway) as texts:
        client.studio.send(TEXT, '{"type":"before"}')
        client.studio.send(TEXT, MESSAGE)
        client.studio.send(TEXT, '{"type":"behind"}')
        assert await client.read() == '42["before"]'
        await until(lambda: bool(texts._waiting))
        other.studio.send(TEXT, '{"type":"b"}')
        assert await other.read() == '42["b"]'
        client.send('42["from the same client"]')
        assert await client.studio.read_message() == (TEXT, b'{"type":"from the same client"}')
    assert await client.read() == EVENT
    assert await client.read() == '42["behind"]'


@pytest.mark.parametrize("data", [LIST, f'"{"x" * WINDOW}"'], ids=["list", "string"])
async def test_a_large_message_answers_an_event(client: SocketIoPeer, data: str) -> None:
    client.send('427["a"]')
    name = json.loads((await client.studio.read_message())[1])["id"]
    answer = f'{{"data":{data},"id":"{name}"}}'
    client.studio.send(TEXT, answer)
    assert await client.read() == f"437[{answer}]"
    client.studio.send(TEXT, data)
    assert await client.read() == f'42["message",{data}]'
    client.studio.send(TEXT, f"{data}x")
    assert json.loads((await client.read())[2:]) == ["message", f"{data}x"]


async def test_many_texts_are_as_large_as_one(gateway: Gateway, client: SocketIoPeer) -> None:
    """So many events in one piece would be read in one turn."""
    event = f'42["a","{"x" * (WINDOW // 2)}"]'
    with held(gateway) as texts:
        client.peer.write(client.peer.frame(TEXT, event) * 9)
        client.studio.write(client.studio.frame(TEXT, f'{{"type":"b","data":"{"y" * (WINDOW // 2)}"}}') * 9)
        await until(lambda: len(texts._waiting) == 2)
    assert len(await texts_of(client.studio, 9)) == 9
    assert [(await client.read())[:8] for _ in range(9)] == ['42["b","'] * 9


@pytest.mark.parametrize("end", ["close", "violation"])
async def test_large_events_stay_in_order_if_the_rate_of_the_user_holds_them_back(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, end: str
) -> None:
    gateway = await start_gateway(MESSAGE_RATE_PER_USER="20", MESSAGE_BURST_PER_USER="5")
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    peer = client.peer
    events = [f'42["a",[{number},"{"x" * (WINDOW // 2)}"]]' for number in range(12)]
    peer.write(b"".join(peer.frame(TEXT, event) for event in [*events, *["4{}"] * (end == "violation")]))
    if end == "close":
        peer.send_close(1000, "bye")
    texts = await texts_of(client.studio, len(events))
    assert [json.loads(text)["data"][0] for text in texts] == list(range(len(events)))
    assert (await client.studio.read_close())[0] == (1000 if end == "close" else 1001)


async def test_a_ping_while_the_rate_of_the_user_holds_a_large_event_back(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """Its answer must not come before what the session holds back."""
    gateway = await start_gateway(MESSAGE_RATE_PER_USER="20", MESSAGE_BURST_PER_USER="5")
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    peer = client.peer
    with held(gateway) as texts:
        events = [f'42["a",{number}]' for number in range(10)]
        peer.write(b"".join(peer.frame(TEXT, event) for event in [*events, EVENT]))
        await until(lambda: bool(texts._waiting))
        client.studio.send(PING, b"!")
        assert await client.read_packet() == "2"
    small = [f'{{"type":"a","data":{number}}}'.encode() for number in range(10)]
    assert await texts_of(client.studio, 11) == [*small, MESSAGE.encode()]


async def test_nothing_is_kept_of_a_client_that_is_lost_meanwhile(
    gateway: Gateway, client: SocketIoPeer
) -> None:
    (session,) = sessions_of(gateway)
    with held(gateway) as texts:
        client.studio.send(TEXT, MESSAGE)
        await until(lambda: bool(texts._waiting))
        (slices,) = texts._waiting
        session._client.transport.abort()
        assert (await client.studio.read_close())[0] == 1001
        client.studio.leave()
        await until(lambda: nobody_is_left(gateway))
        assert slices.gi_frame is None  # type: ignore[attr-defined]
    await until(lambda: not texts._waiting)


async def test_what_a_client_has_sent_before_it_was_lost_is_passed_on(
    gateway: Gateway, client: SocketIoPeer
) -> None:
    (session,) = sessions_of(gateway)
    with held(gateway) as texts:
        client.peer.write(client.peer.frame(TEXT, EVENT) + client.peer.frame(TEXT, '42["behind"]'))
        await until(lambda: bool(texts._waiting))
        transport = session._client.transport
        transport.abort()
        await until(lambda: transport._gone is not None)  # type: ignore[attr-defined]
    assert await texts_of(client.studio, 2) == [MESSAGE.encode(), b'{"type":"behind"}']
    assert (await client.studio.read_close())[0] == 1001
    client.studio.leave()
    await until(lambda: nobody_is_left(gateway))


@pytest.mark.parametrize("of_studio", [False, True])
async def test_a_bug_ends_only_the_session(
    gateway: Gateway,
    client: SocketIoPeer,
    monkeypatch: pytest.MonkeyPatch,
    *,
    of_studio: bool,
) -> None:
    """Otherwise its client would wait for ever."""
    bugs: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: bugs.append(str(context["exception"]))
    )

    def broken(_: object) -> int:
        raise MemoryError("a bug")

    monkeypatch.setattr(json_text._Windows, "_up_to_last_comma", broken)
    (session,) = sessions_of(gateway)
    if of_studio:
        client.studio.send(TEXT, MESSAGE)
    else:
        client.send(EVENT)
    assert (await client.studio.read_close())[0] == 1001
    client.studio.leave()
    await until(lambda: nobody_is_left(gateway))
    assert session.closing is not None
    assert session.closing.cause is Cause.INTERNAL
    assert bugs == ["a bug"]


async def test_a_session_that_ends_meanwhile_says_so_at_last(gateway: Gateway, client: SocketIoPeer) -> None:
    (session,) = sessions_of(gateway)
    with held(gateway) as texts:
        client.studio.send(TEXT, MESSAGE)
        await until(lambda: bool(texts._waiting))
        session.end(Cause.DRAINING)
    assert await client.read() == EVENT
    assert json.loads((await client.read())[2:])[0] == "close"
    assert (await client.read_close())[0] == Cause.DRAINING.close_code


async def test_a_client_is_read_again_when_nothing_pauses_it(gateway: Gateway, client: SocketIoPeer) -> None:
    """Neither its text nor its session."""
    (session,) = sessions_of(gateway)
    transport = session._client.transport
    assert isinstance(transport, TranslatedClient)
    assert transport.carrier.transport is not None
    with held(gateway) as texts:
        client.send(EVENT)
        await until(lambda: bool(texts._waiting))
        transport.pause_reading()
        transport.resume_reading()
        assert not transport.carrier.transport.is_reading()
        transport.pause_reading()
    client.send('42["behind"]')
    await until(lambda: not texts._waiting)
    assert not transport.carrier.transport.is_reading()
    transport.resume_reading()
    assert await texts_of(client.studio, 2) == [MESSAGE.encode(), b'{"type":"behind"}']
    assert transport.carrier.transport.is_reading()


async def test_studio_is_read_again_when_nothing_pauses_it(gateway: Gateway, client: SocketIoPeer) -> None:
    """Neither its text nor a slow client."""
    (session,) = sessions_of(gateway)
    transport = session._client.transport
    assert isinstance(transport, TranslatedClient)
    for full in (False, True):
        with held(gateway) as texts:
            client.studio.send(TEXT, MESSAGE)
            await until(lambda: bool(texts._waiting))
            assert session._backend.held
            transport.drained()
            assert session._backend.held
            if full:
                transport.full()
        assert await client.read() == EVENT
        assert session._backend.held is full
    transport.drained()
    assert not session._backend.held


async def test_what_is_written_meanwhile_follows_before_the_end(
    gateway: Gateway, client: SocketIoPeer
) -> None:
    (session,) = sessions_of(gateway)
    with held(gateway) as texts:
        client.studio.send(TEXT, MESSAGE)
        await until(lambda: bool(texts._waiting))
        for name in "ab":
            session._client.transport.write(message_frame(TEXT, f'{{"type":"{name}"}}'.encode(), None))
        session._client.transport.close()
    assert [await client.read() for _ in range(3)] == [EVENT, '42["a"]', '42["b"]']
    assert await client.peer.read_rest() == b""


async def test_a_client_that_is_not_read_meanwhile_is_alive(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(PING_INTERVAL_SECONDS="0.2", PING_TIMEOUT_SECONDS="0.2")
    client = await (await SocketIoPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    with held(gateway) as texts:
        client.send(EVENT)
        await until(lambda: bool(texts._waiting))
        for _ in range(4):
            assert await client.read_packet() == "2"
            client.studio.send(PONG, (await client.studio.read_message())[1])
        assert sessions_of(gateway)
    assert await texts_of(client.studio, 1) == [MESSAGE.encode()]


async def test_what_breaks_the_protocol_behind_a_large_event_does_so_after_it(
    gateway: Gateway, client: SocketIoPeer
) -> None:
    with held(gateway) as texts:
        peer = client.peer
        peer.write(peer.frame(TEXT, EVENT) + peer.frame(TEXT, b"\xff") + peer.frame(TEXT, '42["c"]'))
        await until(lambda: bool(texts._waiting))
    assert await texts_of(client.studio, 1) == [MESSAGE.encode()]
    for _ in range(PAID):
        assert await client.studio.read_message() == (PONG, b"")
    assert (await client.studio.read_close())[0] == 1001
    client.studio.send_close(1001)
    assert json.loads((await client.read())[2:])[1]["code"] == 1002


async def test_a_post_is_answered_when_its_large_event_was_read(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await (await PollingPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    with held(gateway) as texts:
        post = await client.begin("POST", body=f'{EVENT}\x1e42["behind"]'.encode())
        await until(lambda: bool(texts._waiting))
        assert (await client.ask("POST", body=b"6")).status == 400, "the first one waits"
    assert await texts_of(client.studio, 2) == [MESSAGE.encode(), b'{"type":"behind"}']
    assert (await post.read_head()).body == b"ok"


async def test_an_upgrade_while_a_large_message_is_translated(
    gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    polling = await (await PollingPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    with held(gateway) as texts:
        polling.studio.send(TEXT, MESSAGE)
        await until(lambda: bool(texts._waiting))
        client = await polling.go_on()
        client.send('42["a"]')
        assert await client.studio.read_message() == (TEXT, b'{"type":"a"}')
    assert await client.read() == EVENT
