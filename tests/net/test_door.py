"""What one address can take of the door: places, requests, time and log lines, for the HTTP routes as for WebSockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from tests.net.pair import Dial, GatewayLog, StartGateway, until
from tests.net.wire import Head, Peer, upgrade_request

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.app.http import FREE_CHECKS
from memmie_gateway.app.refusal_log import LINES_PER_SECOND
from memmie_gateway.net import handover
from memmie_gateway.net.ingress.listener import SPARE

PLACES = 1 + SPARE
"""How many unanswered requests one address may have with MAX_CONNECTIONS_PER_IP=1."""


def get(path: str, *extra: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *extra, "", ""]).encode()


async def answer(dial: Dial, gateway: Gateway, request: bytes) -> Head:
    client: Peer = await dial(gateway)
    client.write(request)
    return await client.read_head()


def code(head: Head) -> tuple[int, str]:
    return head.status, json.loads(head.body)["code"]


def forwarded(address: str) -> str:
    return f"X-Forwarded-For: {address}"


def blow_up_metrics(gateway: Gateway) -> None:
    """Let `/metrics` be larger than all buffers between the gateway and a client."""
    huge = b"# " + b"x" * (8 << 20) + b"\n"
    gateway.parts.listener.handlers.http._metrics.text = lambda *_: (huge, "text/plain")  # type: ignore[attr-defined]


# Places.


@pytest.mark.parametrize("proxied", [False, True])
async def test_who_does_not_take_an_answer_fills_only_the_places_of_its_address(
    start_gateway: StartGateway,
    dial: Dial,
    proxied: bool,  # noqa: FBT001 - a column of the table
) -> None:
    proxies = {"TRUSTED_PROXIES": "127.0.0.0/8"} if proxied else {}
    gateway = await start_gateway(MAX_CONNECTIONS_PER_IP="1", **proxies)
    blow_up_metrics(gateway)
    bad = [forwarded("192.0.2.1")] if proxied else []
    takers = [await dial(gateway, receive_buffer=4096, limit=4096) for _ in range(PLACES)]
    for taker in takers:
        taker.write(get("/metrics", *bad))
    await until(lambda: len(gateway.parts.listener.http) == PLACES)
    refused = await answer(dial, gateway, get("/health", *bad))
    assert code(refused) == (429, "too_many_connections_from_address")
    assert refused.get("retry-after") == "1"
    if proxied:
        assert (await answer(dial, gateway, get("/health", forwarded("192.0.2.2")))).status == 200
        assert (await answer(dial, gateway, get("/health"))).status == 200, "the proxy itself"
    takers[0].reset()
    await until(lambda: len(gateway.parts.listener.http) < PLACES)
    assert (await answer(dial, gateway, get("/health", *bad))).status == 200


async def test_bodies_that_never_end_fill_only_the_places_of_their_address(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth
) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS_PER_IP="1", TRUSTED_PROXIES="127.0.0.0/8")
    for number in range(PLACES):
        slow = await dial(gateway)
        slow.write(
            get(
                "/token/renew",
                "Content-Length: 12",
                f"Authorization: Bearer {auth.mint()}",
                forwarded("192.0.2.1"),
                method="POST",
            )
        )
        if number < PLACES - 1:
            await until(lambda: len(gateway.parts.listener.http) == number + 1)  # noqa: B023 - used at once
    assert code(await slow.read_head()) == (429, "too_many_connections_from_address")
    assert (await answer(dial, gateway, get("/health", forwarded("192.0.2.2")))).status == 200


# Deadlines.


async def test_an_answer_must_be_taken_in_time(
    start_gateway: StartGateway, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "ANSWER_SECONDS", 0.3)
    gateway = await start_gateway()
    blow_up_metrics(gateway)
    for request in (get("/metrics"), get("/metrics", "Content-Length: 5")):
        taker = await dial(gateway, receive_buffer=4096, limit=4096)
        taker.write(request)
        await until(lambda: bool(gateway.parts.listener.http))
        await until(lambda: not gateway.parts.listener.http)


async def test_a_slow_reader_gets_its_answer(
    start_gateway: StartGateway, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although it may still be sending, for which there is less time."""
    monkeypatch.setattr(handover, "LINGER_SECONDS", 0.05)
    gateway = await start_gateway()
    blow_up_metrics(gateway)
    slow = await dial(gateway, receive_buffer=4096, limit=4096)
    slow.write(get("/metrics", "Content-Length: 5"))
    await asyncio.sleep(0.2)  # longer than it may linger
    assert len((await slow.read_head()).body) > 8 << 20


@pytest.mark.parametrize("path", ["/token/renew", "/health", "/nowhere"])
async def test_a_body_must_be_complete_in_time(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(handover, "LINGER_SECONDS", 0.1)
    gateway = await start_gateway(HEAD_SECONDS="0.2")
    slow = await dial(gateway)
    slow.write(get(path, "Content-Length: 5", f"Authorization: Bearer {auth.mint()}", method="POST"))
    assert (await slow.read_head()).status in (404, 405, 408)
    await until(lambda: not gateway.parts.listener.http)


# Rates.


@pytest.mark.parametrize("path", ["/metrics", "/nowhere", "/token/renew", "/socket.io/"])
async def test_every_request_counts_against_the_rate_of_its_address(
    start_gateway: StartGateway, dial: Dial, path: str
) -> None:
    gateway = await start_gateway(
        CONNECT_RATE_PER_IP="0.01", CONNECT_BURST_PER_IP="3", TRUSTED_PROXIES="127.0.0.0/8"
    )
    method = "OPTIONS" if path == "/token/renew" else "GET"
    extra: Sequence[str] = [forwarded("192.0.2.1")]
    if path == "/socket.io/":
        request = upgrade_request("wrong", target=path, extra=extra)
    else:
        request = get(path, *extra, method=method)
    for _ in range(3):
        assert (await answer(dial, gateway, request)).status != 429
    refused = await answer(dial, gateway, request)
    assert code(refused) == (429, "connect_rate_exceeded")
    assert int(refused.get("retry-after")) > 1
    assert (await answer(dial, gateway, get("/metrics", *extra))).status == 429, "they share one rate"
    assert (await answer(dial, gateway, get("/metrics", forwarded("192.0.2.2")))).status == 200
    assert (await answer(dial, gateway, get("/health", *extra))).status == 200


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_checks_are_free_up_to_a_rate(start_gateway: StartGateway, dial: Dial, path: str) -> None:
    gateway = await start_gateway(CONNECT_RATE_PER_IP="0.01", CONNECT_BURST_PER_IP="1")
    assert (await answer(dial, gateway, get("/metrics"))).status == 200
    assert (await answer(dial, gateway, get("/metrics"))).status == 429
    loop = asyncio.get_running_loop()
    began = loop.time()
    answered = 0
    while (await answer(dial, gateway, get(path))).status == 200:
        answered += 1
    earned = (loop.time() - began) * FREE_CHECKS.per_second
    assert FREE_CHECKS.burst <= answered <= FREE_CHECKS.burst + earned + 1
    other = "/ready" if path == "/health" else "/health"
    assert (await answer(dial, gateway, get(other))).status == 200, "each for itself"


# Log lines.


async def test_refusals_of_one_address_have_a_limited_number_of_lines(
    start_gateway: StartGateway, dial: Dial, log: GatewayLog
) -> None:
    gateway = await start_gateway(TRUSTED_PROXIES="127.0.0.0/8")
    refused = gateway.parts.events.refusals

    async def refuse(address: str, times: int) -> None:
        for number in range(times):
            extra = [forwarded(address), f"X-Request-ID: {address}/{number}"]
            assert (await answer(dial, gateway, upgrade_request(extra=extra))).status == 401

    async with asyncio.timeout(0.9):
        await asyncio.gather(refuse("192.0.2.1", 25), refuse("192.0.2.2", 3))
    assert refused["token_missing", "401"] == 28
    lines = {
        address: [line for line in log.lines("refused") if line["address"] == address]
        for address in ("192.0.2.1", "192.0.2.2")
    }
    assert [line["count"] for line in lines["192.0.2.1"]] == [1] * LINES_PER_SECOND
    assert [line["count"] for line in lines["192.0.2.2"]] == [1] * 3
    await until(lambda: len(log.lines("refused")) > LINES_PER_SECOND + 3)
    last = log.lines("refused")[-1]
    assert (last["count"], last["address"], last["request_id"]) == (15, "192.0.2.1", "192.0.2.1/24")
    assert (last["cause"], last["status"], last["code"]) == ("token_missing", 401, None)
    await refuse("192.0.2.1", 1)
    assert log.lines("refused")[-1]["count"] == 1


async def test_the_last_count_is_written_when_the_gateway_stops(
    start_gateway: StartGateway, dial: Dial, log: GatewayLog
) -> None:
    gateway = await start_gateway()
    for _ in range(LINES_PER_SECOND + 2):
        await answer(dial, gateway, upgrade_request())
    await gateway.stop()
    assert sum(line["count"] for line in log.lines("refused")) == LINES_PER_SECOND + 2
