"""SIGTERM: not ready, nobody new, everybody told in their turn, and then the end."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect, MintToken
from memmie_harness.targets import ProcessTarget
from memmie_harness.wiring import FOR_TESTS, gateway_environment

Closed = Callable[[ClientConnection], Awaitable[tuple[int | None, str]]]
Ready = Callable[[ProcessTarget], Awaitable[tuple[int, dict[str, Any]]]]
Refused = Callable[..., Awaitable[Any]]

RawUpgrade = Callable[[ProcessTarget, str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def draining(gateway: ProcessTarget, signum: signal.Signals = signal.SIGTERM) -> float:
    """Send the signal, and wait until the gateway has it; return when that was."""
    gateway.send_signal(signum)
    await gateway.wait_for_log(lambda record: record["event"] == "draining")
    return time.monotonic()


@pytest.mark.memmie(env={"DRAIN_SECONDS": 1})
async def test_sigterm_closes_every_connection_in_its_turn(
    memmie_gateway: ProcessTarget, memmie_connect: Connect, memmie_studios: list[FakeStudio]
) -> None:
    connections = [await memmie_connect(f"u{number}") for number in range(10)]
    started = await draining(memmie_gateway)
    ends: list[float] = []

    async def stay_to_the_end(connection: ClientConnection) -> None:
        await connection.wait_closed()
        ends.append(time.monotonic() - started)
        assert (connection.close_code, connection.close_reason) == (1001, "the gateway is shutting down")

    await asyncio.gather(*(stay_to_the_end(connection) for connection in connections))
    assert await memmie_gateway.wait_ended() == 0

    # Ten over one second: one every 0.1 s, the first at once.
    assert max(later - sooner for sooner, later in itertools.pairwise(ends)) < 0.5
    assert 0.7 < ends[-1] - ends[0] < 1.5
    assert [record["event"] for record in memmie_gateway.logs()][-1] == "stopped"
    closes = [entry for studio in memmie_studios for entry in studio.log.entries("close") if entry["user_id"]]
    assert [(entry["code"], entry["clean"]) for entry in closes] == [(1001, True)] * 10


@pytest.mark.memmie(env={"DRAIN_SECONDS": 30})
async def test_a_draining_gateway_takes_nobody_new_and_serves_the_old(
    memmie_gateway: ProcessTarget,
    memmie_connect: Connect,
    ready: Ready,
    refusal: Refused,
    http: aiohttp.ClientSession,
) -> None:
    connections = [await memmie_connect(f"u{number}") for number in range(3)]
    await draining(memmie_gateway)

    assert (await ready(memmie_gateway))[0] == 503
    assert (await ready(memmie_gateway))[1]["draining"] is True
    refused = await refusal("new")
    assert (refused.status, refused.code) == (503, "shutting_down")
    assert int(refused.headers["retry-after"]) >= 1
    async with http.get(f"{memmie_gateway.url}/health") as response:
        assert response.status == 200  # it lives, and must not be killed for a failed liveness probe

    # The first was told at once, the others have 10 s and 20 s left.
    done, living = await asyncio.wait(
        [asyncio.create_task(connection.wait_closed()) for connection in connections],
        return_when=asyncio.FIRST_COMPLETED,
    )
    assert (len(done), len(living)) == (1, 2)
    for connection in connections:
        if connection.close_code is None:
            await heartbeat(connection)
            await connection.close()
    await asyncio.gather(*living)

    # They have left by themselves: there is nothing to wait for.
    assert await memmie_gateway.wait_ended(2) == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.memmie(env={"DRAIN_SECONDS": 30})
async def test_without_connections_it_ends_at_once(
    memmie_gateway: ProcessTarget, signum: signal.Signals
) -> None:
    memmie_gateway.send_signal(signum)

    assert await memmie_gateway.wait_ended(2) == 0


@pytest.mark.parametrize(("disposition", "drains"), [("default", True), ("ignore", False)])
async def test_a_terminal_that_goes_ends_it_unless_it_was_told_to_stay(
    memmie_auth: FakeAuth,
    memmie_studios: list[FakeStudio],
    ready: Ready,
    disposition: str,
    *,
    drains: bool,
) -> None:
    """SIGHUP, which `nohup` has a process ignore."""
    gateway = ProcessTarget(
        gateway_environment(
            auth_url=memmie_auth.url,
            studio_ws_urls=[studio.ws_url for studio in memmie_studios],
            extra=FOR_TESTS,
        ),
        command=["env", f"--{disposition}-signal=HUP", sys.executable, "-m", "memmie_gateway", "serve"],
    )
    await gateway.start()
    gateway.send_signal(signal.SIGHUP)
    if not drains:
        for _ in range(3):
            assert (await ready(gateway))[0] == 200
        gateway.send_signal(signal.SIGTERM)
    assert await gateway.wait_ended(5) == 0


@pytest.mark.memmie(env={"DRAIN_SECONDS": 30})
async def test_a_second_signal_ends_it_at_once(
    memmie_gateway: ProcessTarget, memmie_connect: Connect, closed: Closed
) -> None:
    connections = [await memmie_connect(f"u{number}") for number in range(3)]
    await draining(memmie_gateway)
    memmie_gateway.send_signal(signal.SIGTERM)

    assert await memmie_gateway.wait_ended(2) == 1
    codes = Counter([(await closed(connection))[0] for connection in connections])
    assert codes == {1001: 1, 1006: 2}
    cut_short = await memmie_gateway.wait_for_log(lambda record: record["event"] == "cut_short")
    assert (cut_short["level"], cut_short["connections"]) == ("warning", 2)


@pytest.mark.memmie(env={"DRAIN_SECONDS": 0.2, "CLOSE_TIMEOUT_SECONDS": 0.5})
async def test_a_client_that_ignores_the_close_does_not_hold_it(
    memmie_gateway: ProcessTarget,
    memmie_token: MintToken,
    memmie_studios: list[FakeStudio],
    raw_upgrade: RawUpgrade,
) -> None:
    reader, _writer = await raw_upgrade(memmie_gateway, memmie_token("deaf"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")

    started = await draining(memmie_gateway)
    assert await memmie_gateway.wait_ended() == 0
    assert 0.4 < time.monotonic() - started < 2.5
    # It was told all the same: a Close frame with 1001.
    assert (await reader.read()).startswith(b"\x88\x1e\x03\xe9the gateway is shutting down")
    codes = [entry["code"] for studio in memmie_studios for entry in studio.log.entries("close")]
    assert 1001 in codes


@pytest.mark.memmie(studios=1, env={"DRAIN_SECONDS": 30})
async def test_a_client_on_its_way_in_is_turned_away(
    memmie_gateway: ProcessTarget, memmie_connect: Connect, memmie_studios: list[FakeStudio], refusal: Refused
) -> None:
    live = [await memmie_connect("u1"), await memmie_connect("u2")]
    memmie_studios[0].script("latency", route="/ws", seconds=0.3)
    late = asyncio.ensure_future(refusal("u3"))
    await memmie_studios[0].log.wait_for("request", path="/ws", count=3)
    await draining(memmie_gateway)

    assert (await late).code == "shutting_down"
    for connection in live:
        await connection.close()
    assert await memmie_gateway.wait_ended(2) == 0
