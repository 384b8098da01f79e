"""What the gateway promises to its users, one test for each promise.

(The promise to handle 1000 concurrent connections has a file of its own, `test_thousand_connections.py`.)
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect, MintToken, StartGateway
from memmie_harness.targets import Target

Closed = Callable[[ClientConnection], Awaitable[tuple[int | None, str]]]
Dial = Callable[..., Awaitable[ClientConnection]]


# What it does


async def test_websocket_connection_through_gateway_works(
    memmie_gateway: Target, memmie_token: MintToken, dial: Dial
) -> None:
    for route in ("/ws", "/websocket", "/api/v1/ws"):
        connection = await dial(
            f"{memmie_gateway.url.replace('http', 'ws')}{route}?token={memmie_token('u1')}"
        )
        await connection.send(json.dumps({"type": "heartbeat", "timestamp": int(time.time())}))

        assert json.loads(await connection.recv())["type"] == "ack"


@pytest.mark.memmie(studios=1)
async def test_authentication_via_token_works(
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    refusal: Callable[..., Awaitable[Any]],
) -> None:
    await heartbeat(await memmie_connect("alice"))
    assert [connection.user_id for connection in memmie_studios[0].connections] == ["alice"]

    assert (await refusal(None)).status == 401
    assert (await refusal(token="made.up")).status == 401
    assert len(memmie_studios[0].connections) == 1


@pytest.mark.memmie(studios=2)
async def test_messages_proxy_correctly_both_directions(
    memmie_connect: Connect, memmie_studios: list[FakeStudio]
) -> None:
    asking, listening = await memmie_connect("u1"), await memmie_connect("u1")
    request = {
        "id": "r1",
        "type": "create_blob",
        "data": {"processor_id": "p", "schema_id": "s", "data": {"text": "grüße \U0001f600"}},
    }
    await asking.send(json.dumps(request))
    answer, event = json.loads(await asking.recv()), json.loads(await listening.recv())

    assert (answer["type"], answer["id"], answer["data"]["data"]["text"]) == (
        "blob.created",
        "r1",
        "grüße \U0001f600",
    )
    assert (event["type"], event["data"]["id"]) == ("blob.created", answer["data"]["id"])

    sent = [await studio.emit("u1", "processor.status", {"n": 1}) for studio in memmie_studios]
    assert sorted(sent) == [0, 2]  # both of the user's connections are on one Studio
    assert json.loads(await asking.recv())["data"] == json.loads(await listening.recv())["data"] == {"n": 1}


@pytest.mark.memmie(env={"MAX_CONNECTIONS_PER_IP": 0})
async def test_load_balancing_distributes_connections(
    memmie_connect: Connect, memmie_studios: list[FakeStudio]
) -> None:
    users = [f"user-{number}" for number in range(40)]
    for user in users:
        await memmie_connect(user)

    shares = [{connection.user_id for connection in studio.connections} for studio in memmie_studios]
    assert shares[0] | shares[1] == set(users)
    assert not shares[0] & shares[1]
    # By chance a Studio gets fewer than 5 of 40 once in five million runs.
    assert all(len(share) >= 5 for share in shares)


async def test_rate_limiting_prevents_abuse(
    memmie_connect: Connect, memmie_gateway: Target, refusal: Callable[..., Awaitable[Any]]
) -> None:
    connections = [await memmie_connect(f"user-{number}") for number in range(10)]

    eleventh = await refusal("user-10")
    assert (eleventh.status, eleventh.code) == (429, "too_many_connections_from_address")
    assert int(eleventh.headers["retry-after"]) >= 1

    await connections[0].close()
    await memmie_gateway.wait_for_log(lambda record: record.get("user_id") == "user-0")
    await heartbeat(await memmie_connect("user-10"))


@pytest.mark.memmie(env={"HEALTH_INTERVAL_SECONDS": 0.2, "HEALTH_RECOVERY_SECONDS": 0.2})
async def test_health_checks_detect_backend_failures(
    memmie_gateway: Target,
    memmie_studios: list[FakeStudio],
    health_is: Callable[..., Awaitable[None]],
    ready: Callable[..., Awaitable[Any]],
    metric: Callable[..., Awaitable[float]],
) -> None:
    first, second = memmie_studios
    await health_is(first.ws_url, "healthy")
    await health_is(second.ws_url, "healthy")

    await first.stop()
    await health_is(first.ws_url, "unhealthy")
    assert (await ready(memmie_gateway))[1]["studios"] == {
        first.ws_url: "unhealthy",
        second.ws_url: "healthy",
    }
    assert await metric(memmie_gateway, "gateway_backend_healthy", backend=first.ws_url) == 0
    assert await metric(memmie_gateway, "gateway_backend_healthy", backend=second.ws_url) == 1

    await first.start()
    await health_is(first.ws_url, "healthy", count=2)
    assert (await ready(memmie_gateway))[0] == 200


@pytest.mark.memmie(studios=1)
async def test_graceful_handling_of_backend_disconnection(
    memmie_connect: Connect, memmie_studios: list[FakeStudio], closed: Closed
) -> None:
    [studio] = memmie_studios

    polite = await memmie_connect("polite")
    studio.connections[-1].close(4000, "that is all")
    assert await closed(polite) == (4000, "that is all")

    for how in ("rst", "fin"):
        dropped = await memmie_connect(how)
        studio.script("drop", connection=studio.connections[-1].id, how=how)
        assert await closed(dropped) == (1012, "Studio is gone, reconnect")

    await heartbeat(await memmie_connect("next"))


@pytest.mark.memmie(studios=1)
async def test_metrics_are_recorded_correctly(
    memmie_gateway: Target,
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    metric: Callable[..., Awaitable[float]],
    closed: Closed,
) -> None:
    backend = memmie_studios[0].ws_url

    async def messages(direction: str) -> float:
        name = "gateway_websocket_messages_total"
        return await metric(memmie_gateway, name, direction=direction, backend=backend)

    first, second = await memmie_connect("u1"), await memmie_connect("u2")
    for _ in range(7):
        await heartbeat(first)
    await memmie_studios[0].emit("u2", "processor.status", count=3)
    for _ in range(3):
        await second.recv()

    assert await metric(memmie_gateway, "gateway_websocket_connections", backend=backend) == 2
    assert await messages("client->backend") == 7
    assert await messages("backend->client") == 10
    assert await metric(memmie_gateway, "gateway_websocket_latency_seconds_count", backend=backend) > 0
    assert await metric(memmie_gateway, "gateway_websocket_errors_total", backend=backend) == 0

    memmie_studios[0].script("drop", connection=memmie_studios[0].connections[0].id)
    await closed(first)
    await memmie_gateway.wait_for_log(lambda record: record.get("user_id") == "u1")
    assert await metric(memmie_gateway, "gateway_websocket_connections", backend=backend) == 1
    assert await messages("client->backend") == 7  # what ended connections carried stays counted
    assert await metric(memmie_gateway, "gateway_websocket_errors_total", type="studio_gone") == 1


# How well it does it


@pytest.mark.memmie(env={"MAX_CONNECTIONS_PER_IP": 0})
async def test_websocket_connections_establish_successfully(memmie_connect: Connect) -> None:
    connections = await asyncio.gather(*(memmie_connect(f"user-{number}") for number in range(50)))

    await asyncio.gather(*(heartbeat(connection) for connection in connections))


@pytest.mark.memmie(studios=1, env={"MESSAGE_RATE_PER_USER": 0})
async def test_less_than_10_ms_additional_latency(
    memmie_connect: Connect, memmie_studios: list[FakeStudio], dial: Dial
) -> None:
    through = await memmie_connect("u1")
    direct = await dial(f"{memmie_studios[0].ws_url}?user_id=u1")
    pairs = [(await heartbeat(through), await heartbeat(direct)) for _ in range(300)]

    additional = statistics.median(gateway - plain for gateway, plain in pairs)
    print(f"additional latency of a round trip, median of 300 pairs: {additional * 1000:.3f} ms")  # noqa: T201 - pytest -s shows it
    assert additional < 0.010


@pytest.mark.memmie(env={"HEALTH_RECOVERY_SECONDS": 0.2})
async def test_automatic_failover_on_backend_failure(
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    health_is: Callable[..., Awaitable[None]],
    closed: Closed,
) -> None:
    live = await memmie_connect("u1")
    mine = next(studio for studio in memmie_studios if studio.connections)
    other = next(studio for studio in memmie_studios if studio is not mine)

    await mine.stop()
    assert (await closed(live))[0] == 1012
    await heartbeat(await memmie_connect("u1"))
    assert [connection.user_id for connection in other.connections] == ["u1"]

    await mine.start()
    await health_is(mine.ws_url, "healthy", count=2)
    await other.stop()
    await heartbeat(await memmie_connect("u1"))
    assert [connection.user_id for connection in mine.connections] == ["u1"]


@pytest.mark.memmie(env={"TRUSTED_PROXIES": "127.0.0.0/8", "CONNECT_BURST_PER_IP": 20})
async def test_rate_limiting_protects_against_dos(
    memmie_connect: Connect, memmie_gateway: Target, metric: Callable[..., Awaitable[float]]
) -> None:
    victim = await memmie_connect("victim", additional_headers={"X-Forwarded-For": "192.0.2.1"})

    async def attack(number: int) -> int:
        try:
            connection = await memmie_connect(
                f"attacker-{number % 20}", additional_headers={"X-Forwarded-For": "198.51.100.66"}
            )
        except InvalidStatus as error:
            return error.response.status_code
        await connection.close()
        return 101

    started = time.monotonic()
    outcomes = Counter(await asyncio.gather(*(attack(number) for number in range(200))))
    seconds = time.monotonic() - started

    # The burst, and what the rate of 10 a second allows beside it.
    assert 10 <= outcomes[101] <= 20 + 10 * seconds + 1
    assert outcomes[101] + outcomes[429] == 200
    assert await metric(memmie_gateway, "gateway_refusals_total", status="429") == outcomes[429]
    assert await heartbeat(victim) < 1
    await heartbeat(await memmie_connect("victim", additional_headers={"X-Forwarded-For": "192.0.2.1"}))


@pytest.mark.memmie(studios=1, env={"MESSAGE_RATE_PER_USER": 0})
async def test_zero_message_loss_during_normal_operation(
    memmie_start_gateway: StartGateway,
    memmie_studios: list[FakeStudio],
    memmie_token: MintToken,
    dial: Dial,
) -> None:
    # Studio's echo route sends every frame back: what arrives has gone both ways.
    gateway = await memmie_start_gateway({"STUDIO_WS_URLS": f"{memmie_studios[0].ws_url}/echo"})

    async def exchange(user: str) -> None:
        connection = await dial(gateway.ws_url, memmie_token(user), max_queue=4)

        async def send() -> None:
            for number in range(2000):
                padding = "x" * (number * 7919 % 3000)
                text = f"{user} {number} {padding}"
                await connection.send(text if number % 2 else text.encode())

        sending = asyncio.create_task(send())
        for number in range(2000):
            message = await connection.recv()
            assert isinstance(message, str) == bool(number % 2)
            text = message if isinstance(message, str) else message.decode()
            assert text.split(" ")[:2] == [user, str(number)]
            assert len(text.split(" ")[2]) == number * 7919 % 3000
        await sending

    await asyncio.gather(*(exchange(f"u{number}") for number in range(3)))
