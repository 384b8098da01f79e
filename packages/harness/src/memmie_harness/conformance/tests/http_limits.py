"""HTTP beside WebSocket: limits, times, and backends that fail."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, row
from memmie_harness.conformance.http_client import (
    answer,
    begin_answer,
    chunk,
    exchange,
    expect_cut,
    request,
)
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.peers.auth import valid
from memmie_harness.conformance.peers.body import Body
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.http_bodies import CHUNKED
from memmie_harness.conformance.tests.http_routes import GROUP, RULE

LIMITS: Final = "spec §8"
LIFE: Final = 2
"""Seconds after which a token ends; `expires` has whole seconds."""


@GROUP.test(
    "body-at-limit",
    "A body of the largest size reaches the backend",
    level=FEATURE,
    rule=LIMITS,
    needs=["http_body_bytes"],
)
async def body_at_limit(lab: Lab) -> None:
    body = b"x" * int(lab.setup.number("http_body_bytes"))
    client, studio = await lab.knock(request(lab, method="POST", body=body))
    seen = await Body(studio, studio.head).rest()
    true("the body as it was sent", seen == body, f"{len(seen)} bytes")
    answer(studio, 200)
    equal("the status", (await client.answer()).status, 200)


@GROUP.test(
    "body-above-limit",
    "A body that is announced as too large gets 413, and is not forwarded",
    level=FEATURE,
    rule=LIMITS,
    needs=["http_body_bytes"],
)
async def body_above_limit(lab: Lab) -> None:
    length = int(lab.setup.number("http_body_bytes")) + 1
    await lab.refused(request(lab, "/thing", f"Content-Length: {length}", method="POST"), 413)


@GROUP.test(
    "chunks-above-limit",
    "A body in chunks that becomes too large gets 413, and does not look complete to the backend",
    level=FEATURE,
    rule=LIMITS,
    needs=["http_body_bytes"],
)
async def chunks_above_limit(lab: Lab) -> None:
    client, studio = await lab.knock(request(lab, "/thing", CHUNKED, method="POST"))
    client.write(chunk(b"x" * (int(lab.setup.number("http_body_bytes")) + 1)) + chunk(b""))
    equal("the status", (await client.answer()).status, 413)
    await expect_cut(studio, Body(studio, studio.head))


@GROUP.test(
    "body-late",
    "A body that does not come in time gets 408",
    level=FEATURE,
    rule=LIMITS,
    needs=["http_body_seconds"],
)
async def body_late(lab: Lab) -> None:
    client = await lab.dial()
    client.patience += lab.setup.number("http_body_seconds")
    client.write(request(lab, "/thing", "Content-Length: 100", method="POST") + b"begun")
    equal("the status", (await client.answer()).status, 408)


@GROUP.test(
    "answer-late",
    "A backend that does not answer in time costs its client a 504, and its connection ends",
    level=FEATURE,
    rule=RULE,
    needs=["http_idle_seconds"],
)
async def answer_late(lab: Lab) -> None:
    client, studio = await lab.knock(request(lab))
    client.patience += lab.setup.number("http_idle_seconds")
    equal("the status", (await client.answer()).status, 504)
    await studio.expect_end()


@GROUP.test(
    "burst",
    "A user may send so many requests at once; one more gets 429 with Retry-After, and another user none",
    level=FEATURE,
    rule=LIMITS,
    needs=["http_burst_per_user"],
)
async def burst(lab: Lab) -> None:
    for _ in range(int(lab.setup.number("http_burst_per_user"))):
        await exchange(lab, request(lab))
    seen = await lab.refused(request(lab), 429)
    true("Retry-After", seen.get("retry-after"), seen.raw)
    await exchange(lab, request(lab, token=lab.mint(f"other-{lab.marker}")))


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    rows=[
        row("backend-garbage", "An answer that is not HTTP becomes 502", b"SSH-2.0-not-http\r\n\r\n"),
        row("backend-cut-head", "An answer that ends in its head becomes 502", b"HTTP/1.1 200 OK\r\nX-A"),
        row(
            "backend-two-lengths",
            "An answer with two lengths becomes 502",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        ),
    ],
)
async def bad_answer(lab: Lab, data: bytes) -> None:
    client, studio = await lab.knock(request(lab))
    studio.write(data)
    studio.leave()
    equal("the status", (await client.answer()).status, 502)


@GROUP.test(
    "backend-down",
    "A request goes to the next backend if one is down, and gets 503 if all are",
    level=FEATURE,
    rule=RULE,
    needs=["failover", "studios"],
    own_gateway=True,
)
async def backend_down(lab: Lab) -> None:
    first, *others = lab.stack.studios
    await first.stop()
    for number in range(8):
        client, studio = await lab.knock(
            request(lab, token=lab.mint(f"{lab.user}-{number}"), method="POST", body=b"x")
        )
        answer(studio, 200)
        equal("the status", (await client.answer()).status, 200)
    for other in others:
        await other.stop()
    await lab.refused(request(lab), 503)


async def _live(lab: Lab, token: str | None = None) -> tuple[Side, Body]:
    """Begin a stream of events, which no time-out ends."""
    client, studio = await lab.knock(request(lab, token=token))
    begin_answer(studio, CHUNKED, "Content-Type: text/event-stream")
    studio.write(chunk(b"begun"))
    body = Body(client, await client.answer_head())
    await body.part(5)
    return client, body


@GROUP.test(
    "live",
    "Answers that are long under way count as connections of their user, until they end",
    level=FEATURE,
    rule=LIMITS,
    needs=["http_live_seconds", "connections_per_user"],
)
async def live(lab: Lab) -> None:
    answers = [await _live(lab) for _ in range(int(lab.setup.number("connections_per_user")))]
    await asyncio.sleep(lab.setup.number("http_live_seconds"))

    async def full() -> bool:
        client, studio = await lab.dial(), None
        client.write(lab.request())
        seen, studio = await lab.answer_or_arrival(client)
        if studio is not None:
            studio.reset()
        return studio is None and getattr(seen, "status", 0) == 429

    await lab.until("429 for a WebSocket", full)
    answers[0][0].reset()
    await (await lab.until_joined(instead_of=[429])).exchange()


@GROUP.test(
    "live-token-end",
    "An answer that is long under way is cut when its token ends",
    level=FEATURE,
    rule=RULE,
    needs=["http_live_seconds", "closes_at_expiry"],
)
async def live_token_end(lab: Lab) -> None:
    token = lab.mint(lab.user)
    lab.stack.auth.answer(token, valid(lab.user, expires=int(time.time()) + LIFE))
    client, body = await _live(lab, token)
    client.patience += LIFE
    await expect_cut(client, body)
