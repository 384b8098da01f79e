"""Keepalive: who is silent is pinged, who does not answer is dead, and the other side is told."""

from __future__ import annotations

import asyncio
import time

from memmie_harness.conformance.checks import true
from memmie_harness.conformance.group import FEATURE, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Violation
from memmie_harness.conformance.peers import PING, TEXT
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.closes import may_be_sent
from memmie_harness.conformance.tests.data import DOWN, UP, both, ends

GROUP = Group("keepalive", "Keepalive and dead peers")

RULE = "spec §1, pings and dead sides"


def wait_longer(side: Side, lab: Lab, intervals: float) -> None:
    """Let reads wait for so many ping intervals in addition."""
    side.patience += intervals * (lab.setup.number("ping_seconds") + _timeout(lab))


def _timeout(lab: Lab) -> float:
    return float(lab.setup.offers.get("ping_timeout_seconds", 0))


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    needs=["ping_seconds"],
    rows=[
        row("pings-client", "A silent client gets a ping", DOWN),
        row("pings-backend", "A silent backend gets a ping", UP),
    ],
)
async def pings(lab: Lab, direction: str) -> None:
    _, silent = ends(await lab.join(), direction)
    wait_longer(silent, lab, 1)
    frame = await silent.read_frame()
    true("a ping", frame.opcode == PING, f"opcode {frame.opcode:#x}")


@GROUP.test(
    "answers-keep-alive",
    "Sides that answer pings stay connected",
    level=FEATURE,
    rule=RULE,
    needs=["ping_seconds", "ping_timeout_seconds"],
    seconds=40,
)
async def answers_keep_alive(lab: Lab) -> None:
    pair = await lab.join()
    seconds = 2 * (lab.setup.number("ping_seconds") + lab.setup.number("ping_timeout_seconds"))
    reading = [asyncio.create_task(_read(side, seconds)) for side in (pair.client, pair.studio)]
    await asyncio.gather(*reading)
    await pair.exchange()


async def _read(side: Side, seconds: float) -> None:
    """Answer pings for some time; anything else is a violation."""
    try:
        async with asyncio.timeout(seconds):
            await side.message()
    except TimeoutError:
        return
    raise Violation("nothing but pings", "a message")


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    needs=["ping_seconds", "ping_timeout_seconds"],
    rows=[
        row(
            "dead-client",
            "A client that does not answer pings loses its connection, and the backend is told",
            UP,
        ),
        row(
            "dead-backend",
            "A backend that does not answer pings loses its connection, and the client is told",
            DOWN,
        ),
    ],
    seconds=40,
)
async def dead(lab: Lab, direction: str) -> None:
    silent, other = ends(await lab.join(), direction)
    for side in (silent, other):
        wait_longer(side, lab, 2)
    ended = asyncio.create_task(silent.read_rest())
    try:
        async with asyncio.timeout(other.patience):  # in all, because other pings may come meanwhile
            await other.expect_close(check=may_be_sent)
            other.send_close(1000)
            await ended
    except TimeoutError:
        raise Violation("both connections end", f"one is still open after {other.patience:g} s") from None
    finally:
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)


@GROUP.test(
    "idle",
    "A connection without messages is closed with 1001, although pings are answered",
    level=FEATURE,
    rule="spec §7 (WS_TIMEOUT_SECONDS)",
    needs=["idle_seconds"],
    seconds=40,
)
async def idle(lab: Lab) -> None:
    pair = await lab.join()
    pair.client.send(TEXT, "the last")
    await pair.studio.expect_message(TEXT, "the last")
    begun = time.monotonic()
    seconds = lab.setup.number("idle_seconds")
    pair.client.patience += seconds + 2
    await pair.client.expect_close(1001)
    passed = time.monotonic() - begun
    true(f"a Close frame after {seconds:g} s", passed > seconds / 2, f"one after {passed:.2f} s")


@GROUP.table(
    level=FEATURE,
    rule="spec §7 (WS_TIMEOUT_SECONDS)",
    needs=["idle_seconds"],
    rows=both("idle-counts-messages", "Messages {} keep a connection open for longer than the idle time"),
    seconds=40,
)
async def idle_counts_messages(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    for number in range(6):
        await asyncio.sleep(lab.setup.number("idle_seconds") * 0.3)
        sender.send(TEXT, str(number))
        await receiver.expect_message(TEXT, str(number))
