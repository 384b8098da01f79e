"""Where a connection begins: any cutting of the head, what comes behind it, and the hand-over to HTTP."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
from functools import partial
from typing import Any

import pytest
from tests.net.pair import Dial, Join, StartGateway, nobody_is_left, until
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.http.request import Request
from memmie_gateway.net.backends.dispatcher import Dispatcher
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.ingress.head_reader import HeadReader
from memmie_gateway.net.ingress.listener import SPARE
from memmie_gateway.net.sessions.leg import Leg
from memmie_gateway.net.sessions.session import Session
from memmie_harness.conformance.peers import BINARY, TEXT, Peer, build, upgrade_request

HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_head_in_single_bytes(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    client = await dial(await start_gateway())
    for byte in upgrade_request(auth.mint()):
        client.write(bytes([byte]))
        await client.writer.drain()
        await asyncio.sleep(0)
    accept(await studio.arrival())
    assert (await client.read_head()).status == 101


@pytest.mark.parametrize("target", ["/ws", "/websocket", "/api/v1/ws", "http://gateway/ws"])
async def test_the_websocket_routes(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, target: str
) -> None:
    client = await dial(await start_gateway())
    client.write(upgrade_request(auth.mint(), target=target))
    accept(await studio.arrival())
    assert (await client.read_head()).status == 101


@pytest.mark.parametrize("size", [0, 1000, 1_000_000])
async def test_frames_right_behind_the_handshake_reach_studio(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, size: int
) -> None:
    """A client should wait for the 101, but nothing it sends is lost, however much it is."""
    client = await dial(await start_gateway())
    behind = client.frame(TEXT, "early") + client.frame(BINARY, bytes(size))
    client.write(upgrade_request(auth.mint()) + behind)
    asked = await studio.arrival()
    accept(asked)
    assert await asked.read(len(behind)) == behind
    assert (await client.read_head()).status == 101


@pytest.mark.parametrize("size", [0, 1000, 1_000_000])
async def test_frames_right_behind_studio_s_answer_reach_the_client(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, size: int
) -> None:
    client = await dial(await start_gateway())
    client.write(upgrade_request(auth.mint()))
    behind = build(TEXT, b"connected") + build(BINARY, bytes(size))
    asked = await studio.arrival()
    accept(asked, behind=behind)
    assert (await client.read_head()).status == 101
    assert await client.read(len(behind)) == behind


def noticed(client: Peer, asked: Peer, gateway: Gateway) -> bool:
    """Tell whether the gateway has acted on what either end did last."""
    return client.reader.at_eof() or asked.reader.at_eof() or len(gateway.parts.sessions) > 0


async def test_a_client_that_leaves_at_the_moment_of_the_101_leaves_nothing(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """Both reach the gateway in one turn of its loop, in either order."""
    gateway = await start_gateway()
    for first in ("client", "studio") * 10:
        client = await dial(gateway)
        client.write(upgrade_request(auth.mint()))
        asked = await studio.arrival()
        if first == "studio":
            accept(asked)
        with socket.socket(fileno=os.dup(client.writer.get_extra_info("socket").fileno())) as at_once:
            at_once.shutdown(socket.SHUT_WR)  # a transport would do it in the next turn
        if first == "client":
            accept(asked)
        await until(partial(noticed, client, asked, gateway))
        asked.leave()
        await until(lambda: nobody_is_left(gateway))


async def test_what_waits_behind_a_handshake_is_bounded(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """While Studio takes its time, the client's bytes stay in the kernel's buffers, not in the gateway's."""
    gateway = await start_gateway()
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint()) + build(BINARY, bytes(64 << 20)))
    await studio.arrival()
    (waiting,) = gateway.parts.listener.pending
    await until(lambda: not waiting.transport.is_reading())
    assert waiting.handover is not None
    assert 64 << 10 < len(waiting.handover.lend(asyncio.Protocol())) <= (64 << 10) + (256 << 10)


async def test_a_plain_get_on_a_websocket_route(start_gateway: StartGateway, dial: Dial) -> None:
    client = await dial(await start_gateway())
    client.write(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await client.read_head()
    assert (answer.status, answer.get("upgrade")) == (426, "websocket")
    assert json.loads(answer.body)["code"] == "upgrade_required"


async def test_an_upgrade_elsewhere(start_gateway: StartGateway, dial: Dial) -> None:
    client = await dial(await start_gateway())
    client.write(upgrade_request("t", target="/elsewhere"))
    assert (await client.read_head()).status == 404


# The hand-over to HTTP.


async def test_http_in_single_bytes(start_gateway: StartGateway, dial: Dial) -> None:
    client = await dial(await start_gateway())
    for byte in HEALTH:
        client.write(bytes([byte]))
        await client.writer.drain()
        await asyncio.sleep(0)
    assert json.loads((await client.read_head()).body)["status"] == "healthy"


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_get_with_a_body(start_gateway: StartGateway, dial: Dial, *, at_once: bool) -> None:
    """The body goes along, whether it came with the head or after it."""
    client = await dial(await start_gateway())
    head = b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
    client.write(head if not at_once else head + b"hello")
    if not at_once:
        await client.writer.drain()
        client.write(b"hello")
    answer = await client.read_head()
    assert (answer.status, answer.get("connection")) == (200, "close")
    assert await client.read_rest() == b""


async def test_only_the_first_of_two_requests_is_answered(start_gateway: StartGateway, dial: Dial) -> None:
    """The bounds on a head hold for the first: the connection is closed behind its answer."""
    client = await dial(await start_gateway())
    client.write(HEALTH + b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await client.read_head()
    assert (answer.status, answer.get("connection")) == (200, "close")
    assert await client.read_rest() == b""


async def test_a_handshake_behind_a_request_is_not_let_in(start_gateway: StartGateway, dial: Dial) -> None:
    client = await dial(await start_gateway())
    client.write(HEALTH + upgrade_request("t"))
    assert (await client.read_head()).status == 200
    assert await client.read_rest() == b""


async def test_another_upgrade_is_plain_http(start_gateway: StartGateway, dial: Dial) -> None:
    client = await dial(await start_gateway())
    client.write(HEALTH.replace(b"\r\n\r\n", b"\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"))
    assert (await client.read_head()).status == 200


# How many there may be.


async def test_beyond_max_connections(start_gateway: StartGateway, dial: Dial, join: Join) -> None:
    """One is live, one has said nothing yet: the third is told so, and can read it. Then there is room again."""
    gateway = await start_gateway(MAX_CONNECTIONS="2")
    pair, second = await join(gateway), await join(gateway)
    await second.exchange()
    second.client.leave()
    second.studio.leave()
    await until(lambda: len(gateway.parts.sessions) == 1)
    silent = await dial(gateway)
    edge = gateway.parts.listener
    assert edge is not None
    await until(lambda: len(edge.pending) == 1)
    third = await dial(gateway)
    third.write(upgrade_request("t", extra=["X: " + "x" * 10_000]))
    answer = await third.read_head()
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "overloaded")
    assert answer.get("retry-after") == "1"
    silent.leave()
    pair.client.leave()
    pair.studio.leave()
    third.leave()
    await until(lambda: nobody_is_left(gateway))
    await (await join(gateway)).exchange()


async def test_stopping_while_a_client_waits_to_be_let_in(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth
) -> None:
    auth.script("hang")
    gateway = await start_gateway()
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint()))
    await until(lambda: bool(auth.log.entries("request")))
    await gateway.stop()
    answer = await client.read_head()
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "shutting_down")
    assert await client.read_rest() == b""


async def test_one_address_cannot_take_every_place_at_the_edge(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS_PER_IP="1")
    silent = [await dial(gateway) for _ in range(17)]
    await until(lambda: len(gateway.parts.listener.pending) == len(silent))
    one_more = await dial(gateway)
    refusal = await one_more.read_head()
    assert (refusal.status, json.loads(refusal.body)["code"]) == (429, "too_many_connections_from_address")

    silent[0].writer.transport.abort()
    await until(lambda: len(gateway.parts.listener.pending) < len(silent))
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint()))
    accept(await studio.arrival())
    assert (await client.read_head()).status == 101


async def test_a_trusted_proxy_may_have_more_places_at_the_edge(
    start_gateway: StartGateway, dial: Dial
) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS_PER_IP="1", TRUSTED_PROXIES="127.0.0.0/8")
    silent = [await dial(gateway) for _ in range(2 + SPARE)]
    silent[-1].write(HEALTH)
    assert (await silent[-1].read_head()).status == 200


async def test_without_a_limit_one_address_may_have_any_number(
    start_gateway: StartGateway, dial: Dial
) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS_PER_IP="0")
    silent = [await dial(gateway) for _ in range(2 + SPARE)]
    silent[-1].write(HEALTH)
    assert (await silent[-1].read_head()).status == 200


async def test_places_at_the_edge_are_given_back(start_gateway: StartGateway, dial: Dial, join: Join) -> None:
    """By those who asked for something else as well as by those who were let in."""
    gateway = await start_gateway(MAX_CONNECTIONS_PER_IP="1")
    for _ in range(2 + SPARE):
        client = await dial(gateway)
        client.write(HEALTH)
        assert (await client.read_head()).status == 200
    await join(gateway)
    assert gateway.parts.listener._by_address.held("127.0.0.1") == 0


async def test_whose_place_at_the_edge_it_is(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS_PER_IP="1", TRUSTED_PROXIES="192.0.2.0/24")
    edge = gateway.parts.listener
    assert edge is not None

    class FromPeer(asyncio.Transport):
        def get_extra_info(self, name: str, default: object = None) -> Any:
            return (peers[-1], 1) if name == "peername" else default

    peers: list[str] = []
    readers: list[HeadReader] = []

    def counted(address: str) -> str:
        peers.append(address)
        readers.append(HeadReader(edge))
        readers[-1].connection_made(FromPeer())
        assert readers[-1].handover is None, "it was not refused"
        return readers[-1].counted

    assert counted("2001:db8:0:1::5") == counted("2001:db8:0:1::6") != counted("2001:db8:0:2::5")
    assert counted("fe80::1%eth0") == counted("fe80::2%eth1")
    for _ in range(1 + SPARE):
        assert counted("::ffff:192.0.2.1") == "192.0.2.1"
    assert counted("::ffff:192.0.2.1") == "", "a trusted proxy may have more"
    for reader in readers:
        reader.lost()
    assert repr(edge._by_address) == "<SlotCounts keys=0>"


async def test_every_connection_has_ids_of_its_own(join: Join) -> None:
    pairs = [await join(user=f"u{number}") for number in range(3)]
    heads = [pair.studio.head for pair in pairs]
    parts = [
        text
        for head in heads
        for text in (
            head.get("x-request-id")[:8],
            head.get("x-request-id")[-8:],
            head.get("traceparent")[3:11],
            head.get("traceparent")[27:35],
            head.get("traceparent")[36:44],
        )
    ]
    assert len(set(parts)) == len(parts)


async def test_a_connection_leaves_nothing_to_the_garbage_collector(
    start_gateway: StartGateway, dial: Dial, join: Join
) -> None:
    ours = (HeadReader, Request, Session, Leg, Handover)

    def all_there_are() -> list[object]:
        return [thing for thing in gc.get_objects() if issubclass(type(thing), ours)]

    gateway = await start_gateway()
    gc.collect()
    before = all_there_are()  # what other tests have left, kept so that nothing new is taken for it
    known = set(map(id, before))

    def left() -> set[str]:
        return {type(thing).__name__ for thing in all_there_are() if id(thing) not in known}

    gc.disable()
    try:
        pair = await join(gateway)
        # The request has the token, and is of no use any more.
        await until(lambda: left() == {"Session", "ClientLeg", "Leg"})
        pair.client.reset()
        pair.studio.reset()
        half = await dial(gateway)
        half.write(b"GET /ws HTTP/1.1\r\nHost:")
        await until(lambda: len(gateway.parts.listener.pending) == 1)
        half.reset()
        await until(lambda: nobody_is_left(gateway))
        await until(lambda: not left())
    finally:
        gc.enable()


async def test_a_full_gateway_still_serves_its_health(start_gateway: StartGateway, dial: Dial) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS="2")
    for _ in range(4):
        await dial(gateway)
    await until(lambda: len(gateway.parts.listener.pending) == 4)
    client = await dial(gateway)
    client.write(HEALTH)
    assert (await client.read_head()).status == 200


async def test_a_bug_while_a_client_is_admitted(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is answered, it holds no slot any more, and the bug is reported."""
    failure = ValueError("a bug")

    def fail(*_: object) -> None:
        raise failure

    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    gateway = await start_gateway(MAX_CONNECTIONS_PER_IP="1")
    monkeypatch.setattr(Dispatcher, "dispatch", fail)
    for _ in range(2):  # the second finds the slot of the first
        client = await dial(gateway)
        client.write(upgrade_request(auth.mint()))
        answer = await client.read_head()
        assert (answer.status, json.loads(answer.body)["code"]) == (500, "internal_error")
        assert await client.read_rest() == b""
        await until(partial(nobody_is_left, gateway))
    assert [context["exception"] for context in reported] == [failure] * 2
