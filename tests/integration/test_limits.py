"""Limits (spec §1, §7, §8): how many at once, how often, how fast, from where, and whose address counts."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect, MintToken, StartGateway
from memmie_harness.targets import Target

Closed = Callable[[ClientConnection], Awaitable[tuple[int | None, str]]]
Dial = Callable[..., Awaitable[ClientConnection]]
Metric = Callable[..., Awaitable[float]]
RawUpgrade = Callable[[Target, str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
Refused = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.memmie(target="inprocess")


def from_address(address: str) -> dict[str, Any]:
    return {"additional_headers": {"X-Forwarded-For": address}}


async def come_and_go(connect: Connect, gateway: Target, user: str) -> None:
    """Connect and leave, and wait until the gateway has noticed."""
    connection = await connect(user)
    await connection.close()
    await gateway.wait_for_log(lambda record: record["event"] == "closed" and record["user_id"] == user)


@pytest.mark.memmie(env={"MAX_CONNECTIONS_PER_USER": 2})
async def test_a_user_has_so_many_connections_and_gets_slots_back(
    memmie_gateway: Target, memmie_connect: Connect, refusal: Refused
) -> None:
    first, _second = await memmie_connect("u1"), await memmie_connect("u1")
    third = await refusal("u1")
    assert (third.status, third.code) == (429, "too_many_connections_of_user")
    assert int(third.headers["retry-after"]) >= 1
    await heartbeat(await memmie_connect("u2"))  # who is another user

    await first.close()
    await memmie_gateway.wait_for_log(lambda record: record["event"] == "closed")
    await heartbeat(await memmie_connect("u1"))
    assert (await refusal("u1")).status == 429


@pytest.mark.memmie(
    studios=1,
    env={"MAX_CONNECTIONS_PER_IP": 2, "MAX_CONNECTIONS_PER_USER": 2, "CONNECT_RATE_PER_IP": 0},
)
async def test_failed_handshakes_give_their_slots_back(
    memmie_gateway: Target,
    memmie_auth: FakeAuth,
    memmie_studios: list[FakeStudio],
    memmie_connect: Connect,
    refusal: Refused,
    metric: Metric,
    raw_upgrade: RawUpgrade,
) -> None:
    [studio] = memmie_studios
    for _ in range(3):
        assert (await refusal(token="wrong")).status == 401
        studio.script("error", route="/ws", status=404, times=1)
        assert (await refusal("u1")).status == 404
        studio.script("refuse", route="/ws", status=503, times=1)
        assert (await refusal("u1")).code == "studio_failed"
        memmie_auth.script("error", times=1)
        assert (await refusal(token=memmie_auth.mint())).status == 503

    # Clients that leave while Auth, or Studio, is thinking.
    for hanging in (memmie_auth, studio):
        hang = hanging.script("hang", route="*/validate" if hanging is memmie_auth else "/ws")
        for _ in range(2):
            _reader, writer = await raw_upgrade(memmie_gateway, memmie_auth.mint("u1"))
            while await metric(memmie_gateway, "gateway_pending_connections") < 1:
                pass
            writer.close()
            while await metric(memmie_gateway, "gateway_pending_connections"):
                pass
        hanging.unscript(hang.id)

    await heartbeat(await memmie_connect("u1"))
    await heartbeat(await memmie_connect("u1"))
    assert (await refusal("u1")).code == "too_many_connections_from_address"


@pytest.mark.memmie(env={"CONNECT_RATE_PER_IP": 0.5, "CONNECT_BURST_PER_IP": 3})
async def test_connecting_too_often_is_told_when_to_come_back(
    memmie_gateway: Target, memmie_connect: Connect, refusal: Refused
) -> None:
    await come_and_go(memmie_connect, memmie_gateway, "u1")
    await come_and_go(memmie_connect, memmie_gateway, "u2")
    assert (await refusal(token="wrong")).status == 401  # which costs as much

    refused = await refusal("u3")
    assert (refused.status, refused.code) == (429, "connect_rate_exceeded")
    assert int(refused.headers["retry-after"]) in (1, 2)


@pytest.mark.memmie(studios=1, env={"MESSAGE_RATE_PER_USER": 200, "MESSAGE_BURST_PER_USER": 20})
async def test_the_message_rate_slows_down_and_loses_nothing(
    memmie_connect: Connect, memmie_studios: list[FakeStudio], metric: Metric, memmie_gateway: Target
) -> None:
    fast, bystander = await memmie_connect("fast"), await memmie_connect("bystander")
    started = time.monotonic()
    for number in range(160):
        await fast.send(json.dumps({"id": f"{number}", "type": "heartbeat"}))
    assert await heartbeat(bystander) < 0.3
    assert [json.loads(await fast.recv())["id"] for _ in range(160)] == [f"{n}" for n in range(160)]
    assert time.monotonic() - started >= (160 - 2 * 20) / 200
    assert len(memmie_studios[0].log.entries("message", user_id="fast")) == 160
    assert await metric(memmie_gateway, "gateway_websocket_errors_total") == 0


@pytest.mark.memmie(env={"MESSAGE_RATE_PER_USER": 10, "MESSAGE_RATE_MAX_DELAY_SECONDS": 2})
async def test_past_the_bound_the_sender_is_closed_with_1008(memmie_connect: Connect, closed: Closed) -> None:
    flood, bystander = await memmie_connect("flood"), await memmie_connect("bystander")
    flood.transport.write(b"".join(b"\x89\x84maskping" for _ in range(1000)))  # pings are frames, too

    assert await closed(flood) == (1008, "sending messages too fast")
    await heartbeat(bystander)


async def test_nobodys_word_counts_for_an_address_but_a_trusted_proxys(
    memmie_connect: Connect, memmie_studios: list[FakeStudio], refusal: Refused
) -> None:
    for number in range(10):
        await memmie_connect(f"u{number}", **from_address(f"192.0.2.{number}"))

    assert (await refusal("u10", **from_address("192.0.2.10"))).code == "too_many_connections_from_address"
    told = [
        entry["headers"] for studio in memmie_studios for entry in studio.log.entries("connect", path="/ws")
    ]
    assert {headers["x-forwarded-for"] for headers in told} == {"127.0.0.1"}


@pytest.mark.memmie(studios=1, env={"MAX_CONNECTIONS_PER_IP": 1, "TRUSTED_PROXIES": "127.0.0.0/8,10.0.0.0/8"})
async def test_behind_trusted_proxies_the_right_most_other_address_counts(
    memmie_connect: Connect, memmie_studios: list[FakeStudio], refusal: Refused
) -> None:
    await memmie_connect("u1", **from_address("198.51.100.1"))
    for spoofed in ("198.51.100.1", "6.6.6.6, 198.51.100.1", "rubbish, 198.51.100.1:4711, 10.1.1.1"):
        assert (await refusal("u2", **from_address(spoofed))).status == 429
    await memmie_connect("u2", **from_address("198.51.100.1, 198.51.100.2, 10.0.0.7"))

    # Of IPv6 a whole /64 is one address.
    await memmie_connect("u3", **from_address("2001:db8:1:2::3"))
    assert (await refusal("u4", **from_address("[2001:db8:1:2:ffff::4]:443"))).status == 429
    await memmie_connect("u4", **from_address("2001:db8:1:3::3"))

    told = [
        entry["headers"]["x-forwarded-for"] for entry in memmie_studios[0].log.entries("connect", path="/ws")
    ]
    assert told == [
        "198.51.100.1, 127.0.0.1",
        "198.51.100.2, 10.0.0.7, 127.0.0.1",
        "2001:db8:1:2::3, 127.0.0.1",
        "2001:db8:1:3::3, 127.0.0.1",
    ]


def ipv6_loopback() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not ipv6_loopback(), reason="this machine has no ::1")
async def test_clients_may_come_over_ipv6(
    memmie_start_gateway: StartGateway, memmie_token: MintToken, dial: Dial, dial_refusal: Refused
) -> None:
    gateway = await memmie_start_gateway({"HOST": "::1", "MAX_CONNECTIONS_PER_IP": 1})
    assert gateway.url.startswith("http://[::1]:")
    connection = await dial(gateway.ws_url, memmie_token())
    await heartbeat(connection)
    assert (await dial_refusal(gateway.ws_url, memmie_token())).status == 429
    await connection.close()

    assert (await gateway.wait_for_log(lambda record: record["event"] == "closed"))["address"] == "::1"


@pytest.mark.memmie(env={"ALLOWED_ORIGINS": "https://app.example.com, https://*.example.org"})
async def test_pages_of_other_origins_are_refused(memmie_connect: Connect, refusal: Refused) -> None:
    for origin in ("https://app.example.com", "https://a.b.example.org", "HTTPS://App.Example.com"):
        await heartbeat(await memmie_connect(f"user of {origin}", origin=origin))
    await heartbeat(await memmie_connect("no browser"))

    for origin in (
        "http://app.example.com",
        "https://example.org",
        "https://app.example.com.evil.test",
        "https://evilexample.org",
        "null",
    ):
        refused = await refusal("u1", origin=origin)
        assert (refused.status, refused.code) == (403, "origin_not_allowed"), origin


@pytest.mark.memmie(env={"MAX_CONNECTIONS": 3})
async def test_a_full_gateway_says_so_and_serves_again(
    memmie_gateway: Target, memmie_connect: Connect, refusal: Refused
) -> None:
    await memmie_connect("u1")
    await memmie_connect("u2")
    third = await memmie_connect("u3")
    fourth = await refusal("u4")
    assert (fourth.status, fourth.code) == (503, "overloaded")
    assert int(fourth.headers["retry-after"]) >= 1
    await heartbeat(third)

    await third.close()
    await memmie_gateway.wait_for_log(lambda record: record["event"] == "closed")
    await heartbeat(await memmie_connect("u4"))


@pytest.mark.memmie(env={"WEBSOCKET_ENABLED": "false"})
async def test_websockets_can_be_switched_off(
    memmie_gateway: Target, refusal: Refused, metric: Metric
) -> None:
    refused = await refusal("u1")

    assert (refused.status, refused.code) == (503, "websocket_disabled")
    assert await metric(memmie_gateway, "gateway_refusals_total", reason="websocket_disabled") == 1
