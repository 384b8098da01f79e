"""What two WebSocket ends agree on passes through the gateway untouched: it forwards bytes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.typing import Subprotocol

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect, MintToken, StartGateway
from memmie_harness.targets import Target

Closed = Callable[[ClientConnection], Awaitable[tuple[int | None, str]]]
Dial = Callable[..., Awaitable[ClientConnection]]
Metric = Callable[..., Awaitable[float]]

pytestmark = pytest.mark.memmie(target="inprocess")

NO_RATE = {"MESSAGE_RATE_PER_USER": 0}


@pytest.mark.memmie(studios=1)
async def test_permessage_deflate_is_negotiated_end_to_end(
    memmie_gateway: Target, memmie_connect: Connect, memmie_studios: list[FakeStudio], metric: Metric
) -> None:
    compressed = await memmie_connect("u1")
    assert [type(extension) for extension in compressed.protocol.extensions] == [PerMessageDeflate]
    assert memmie_studios[0].log.entries("connect", path="/ws")[0]["extensions"] == ["permessage-deflate"]

    request = json.dumps({"id": "r1", "type": "heartbeat", "data": {"padding": "x" * 50_000}})
    await compressed.send(request)
    assert json.loads(await compressed.recv())["id"] == "r1"
    assert memmie_studios[0].log.entries("message")[0]["size"] == len(request)
    assert await metric(memmie_gateway, "gateway_websocket_bytes_total", direction="client->backend") < 1000

    plain = await memmie_connect("u2", compression=None)
    assert plain.protocol.extensions == []
    await heartbeat(plain)


async def test_the_studio_chooses_the_subprotocol(
    memmie_auth: FakeAuth, memmie_start_gateway: StartGateway, dial: Dial
) -> None:
    async with FakeStudio(auth_url=memmie_auth.url, subprotocols=("v2.memmie", "v1.memmie")) as studio:
        gateway = await memmie_start_gateway({"STUDIO_WS_URLS": studio.ws_url})
        token = memmie_auth.mint()

        async def chosen(*offered: str, authorization: str | None = token) -> str | None:
            subprotocols = [Subprotocol(name) for name in offered]
            connection = await dial(gateway.ws_url, authorization, subprotocols=subprotocols)
            return connection.subprotocol

        assert await chosen("v1.memmie", "v2.memmie") == "v1.memmie"
        assert await chosen("v9.memmie") is None
        # Studio's choice comes before `bearer`, and the token is never among what it may choose from.
        assert await chosen("bearer", token, "v2.memmie", authorization=None) == "v2.memmie"
        assert await chosen("bearer", token, "v9.memmie", authorization=None) == "bearer"
        offers = [
            entry["headers"].get("sec-websocket-protocol")
            for entry in studio.log.entries("connect", path="/ws")
        ]
        assert offers == ["v1.memmie, v2.memmie", "v9.memmie", "v2.memmie", "v9.memmie"]


@pytest.mark.memmie(studios=1, env=NO_RATE)
async def test_text_and_binary_up_to_a_mebibyte_arrive_as_they_were(
    memmie_start_gateway: StartGateway, memmie_studios: list[FakeStudio], memmie_token: MintToken, dial: Dial
) -> None:
    gateway = await memmie_start_gateway({"STUDIO_WS_URLS": f"{memmie_studios[0].ws_url}/echo"})
    noise = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(1 << 15))
    assert len(noise) == 1024 * 1024
    for compression, size in ((None, 1 << 20), ("deflate", 1_000_000)):
        connection = await dial(gateway.ws_url, memmie_token(), compression=compression, max_size=None)
        for message in (b"", "", bytes(range(256)), "\0\x7fé\u2028\U0001f600", noise[:size], "ü" * (1 << 19)):
            await connection.send(message)
            assert await connection.recv() == message

        # In fragments, and with a ping between them.
        async def fragments(connection: ClientConnection = connection) -> Any:
            yield noise[:1]
            await (await connection.ping(b"between"))
            yield noise[1:70_000]
            yield b""
            yield noise[70_000:200_000]

        await connection.send(fragments())
        assert await connection.recv() == noise[:200_000]


@pytest.mark.memmie(studios=1)
async def test_a_message_over_the_limit_is_closed_with_1009(
    memmie_connect: Connect, memmie_studios: list[FakeStudio], closed: Closed
) -> None:
    plain = await memmie_connect("u1", compression=None)
    await plain.send(b"x" * (1024 * 1024 + 1))
    assert (await closed(plain))[0] == 1009
    # As in Studio, it is the size on the wire that counts: noise, compressed, is a little larger than it was.
    noisy = await memmie_connect("u1")
    await noisy.send(b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(1 << 15)))
    assert (await closed(noisy))[0] == 1009
    assert not memmie_studios[0].log.entries("message")

    # Studio may not send more either; a client need not know that its own limit is never reached.
    connection = await memmie_connect("u2", compression=None, max_size=None)
    memmie_studios[0].connections[-1].reply(b"x" * (1024 * 1024 + 1))
    assert (await closed(connection))[0] == 1009
    await heartbeat(await memmie_connect("u3"))


@pytest.mark.memmie(studios=1)
async def test_pings_of_either_end_reach_the_other(
    memmie_connect: Connect, memmie_studios: list[FakeStudio]
) -> None:
    [studio] = memmie_studios
    connection = await memmie_connect("u1", ping_interval=None)
    async with asyncio.timeout(5):
        await (await connection.ping(b"are you there"))
    assert [(entry["opcode"], entry["size"]) for entry in studio.log.entries("control", user_id="u1")] == [
        ("ping", len(b"are you there"))
    ]

    studio.connections[-1].wire.protocol.send_ping(b"and you")
    await heartbeat(connection)  # what Studio has to say is sent with its next answer
    pong = await studio.log.wait_for("control", user_id="u1", count=2)
    assert (pong["opcode"], pong["size"]) == ("pong", len(b"and you"))


@pytest.mark.memmie(studios=1, env={"PING_INTERVAL_SECONDS": 0.1, "PING_TIMEOUT_SECONDS": 0.3})
async def test_the_gateways_own_pings_stay_between_it_and_the_side_it_asks(
    memmie_connect: Connect, memmie_studios: list[FakeStudio], closed: Closed
) -> None:
    [studio] = memmie_studios
    connection = await memmie_connect("u1", ping_interval=None)
    await studio.log.wait_for("control", user_id="u1", count=3)
    await heartbeat(connection)
    # Both have answered pings all the time; neither got a pong it had not asked for.
    assert {entry["opcode"] for entry in studio.log.entries("control", user_id="u1")} == {"ping"}

    studio.script("ignore_pings", connection=studio.connections[-1].id)
    assert await closed(connection) == (1012, "Studio does not answer, reconnect")


@pytest.mark.memmie(studios=1, env={"WS_TIMEOUT_SECONDS": 0.4, "PING_INTERVAL_SECONDS": 0.1})
async def test_idle_is_a_connection_without_messages_whatever_is_pinged(
    memmie_connect: Connect, closed: Closed
) -> None:
    idle, busy = await memmie_connect("idle", ping_interval=0.05), await memmie_connect("busy")

    async def keep_busy() -> None:
        while True:
            await heartbeat(busy)

    busily = asyncio.create_task(keep_busy())
    assert await closed(idle) == (1001, "no message for too long")
    assert not busily.done()
    busily.cancel()
    await asyncio.gather(busily, return_exceptions=True)


@pytest.mark.memmie(studios=1, env={"SOCKETIO": "passthrough"})
async def test_socket_io_may_be_spliced(
    memmie_gateway: Target, memmie_token: MintToken, memmie_studios: list[FakeStudio], dial: Dial
) -> None:
    url = memmie_gateway.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    connection = await dial(f"{url}&token={memmie_token('u1')}")
    await heartbeat(connection)

    [request] = memmie_studios[0].log.entries("request", path="/ws")
    assert request["query"] == {"user_id": "u1", "EIO": "4", "transport": "websocket"}
