"""How long an answer of Auth counts: the caches, and the end of a token."""

from __future__ import annotations

import asyncio
import time

from memmie_harness.conformance.checks import equal
from memmie_harness.conformance.group import FEATURE
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.peers.auth import status, valid
from memmie_harness.conformance.tests.auth import GROUP


@GROUP.test(
    "cached",
    "Within the cache's time, Auth is asked once about a token",
    level=FEATURE,
    rule="spec §2 (the gateway remembers an answer)",
    needs=["auth_cache_seconds"],
)
async def cached(lab: Lab) -> None:
    for _ in range(4):
        pair = await lab.join()
        pair.client.leave()
    equal("how often Auth was asked", lab.stack.auth.questions[lab.token], 1)


@GROUP.test(
    "cached-refusal",
    "Within the cache's time, Auth is asked once about an invalid token",
    level=FEATURE,
    rule="spec §2 (the gateway remembers an answer)",
    needs=["refusal_cache_seconds"],
)
async def cached_refusal(lab: Lab) -> None:
    token = lab.secret(f"bad-{lab.marker}")
    await lab.refused(lab.request(token=token), 401)
    await lab.refused(lab.request(token=token), 401)
    equal("how often Auth was asked", lab.stack.auth.questions[token], 1)


@GROUP.test(
    "refusal-ends",
    "A refusal is not remembered for ever",
    level=FEATURE,
    rule="spec §2 (AUTH_REFUSAL_CACHE_SECONDS)",
    needs=["refusal_cache_seconds"],
    seconds=40,
)
async def refusal_ends(lab: Lab) -> None:
    lab.stack.auth.answer(lab.token, status(401))
    await lab.refused(lab.request(), 401)
    lab.stack.auth.answer(lab.token, None)
    pair = await lab.until_joined(instead_of=[401], within=lab.setup.number("refusal_cache_seconds"))
    await pair.exchange()


@GROUP.test(
    "failure-is-not-remembered-as-refusal",
    "After a failure of Auth, the token is good as soon as Auth says so",
    level=FEATURE,
    rule="spec §2",
    needs=["refusal_cache_seconds"],
    seconds=40,
)
async def failure_ends(lab: Lab) -> None:
    lab.stack.auth.answer(lab.token, status(500))
    await lab.refused(lab.request(), 500, 502, 503, 504)
    lab.stack.auth.answer(lab.token, None)
    pair = await lab.until_joined(
        instead_of=range(500, 505), within=lab.setup.number("refusal_cache_seconds")
    )
    await pair.exchange()


@GROUP.test(
    "asked-once-at-a-time",
    "Clients that come together with the same token cause one question",
    level=FEATURE,
    rule="spec §2",
    needs=["auth_cache_seconds"],
)
async def asked_once(lab: Lab) -> None:
    released = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await released.wait()
        await valid(lab.user)(writer)

    lab.stack.auth.answer(lab.token, late)
    clients = [await lab.dial() for _ in range(4)]
    for client in clients:
        client.write(lab.request())

    async def asked() -> int:
        return lab.stack.auth.questions[lab.token]

    await lab.until("a question to Auth", asked)
    await clients[0].expect_silence()
    released.set()
    for client in clients:
        await lab.knock(b"", client=client)
    equal("how often Auth was asked", lab.stack.auth.questions[lab.token], 1)


@GROUP.test(
    "expires",
    "A live connection is closed with 4401 when its token expires",
    level=FEATURE,
    rule="spec §2, the end of a token",
    needs=["closes_at_expiry"],
)
async def expires(lab: Lab) -> None:

    async def soon(writer: asyncio.StreamWriter) -> None:
        await valid(lab.user, expires=int(time.time()) + 3)(writer)

    lab.stack.auth.answer(lab.token, soon)
    pair = await lab.join()
    await pair.exchange()
    pair.client.patience += 4
    await pair.client.expect_close(4401)
    await pair.studio.closing_frame()


@GROUP.test(
    "cached-until-expiry",
    "A remembered answer about a token does not outlive the token",
    level=FEATURE,
    rule="spec §2, the end of a token",
    needs=["auth_cache_seconds", "closes_at_expiry"],
)
async def cached_until_expiry(lab: Lab) -> None:
    lab.stack.auth.answer(lab.token, valid(lab.user, expires=int(time.time()) + 3))
    pair = await lab.join()
    lab.stack.auth.answer(lab.token, status(401))
    pair.client.patience += 4
    await pair.client.expect_close(4401)  # now the token has expired for the gateway, too
    await lab.refused(lab.request(), 401)
