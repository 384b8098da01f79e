"""Stop and restart: live connections are told, and the next process takes the clients."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Violation
from memmie_harness.conformance.pair import Pair
from memmie_harness.conformance.peers import TEXT
from memmie_harness.conformance.tests.operation import GROUP


async def leave(pair: Pair) -> None:
    """Check that a gateway which stops tells both sides, and answer as both do."""
    await pair.client.expect_close(1001)
    pair.client.send_close(1001)
    await pair.studio.expect_close(1001)
    pair.studio.send_close(1001)
    pair.studio.leave()


async def restarted(lab: Lab, pairs: Sequence[Pair]) -> None:
    """Stop the gateway, check that it tells these pairs, and start the next one."""
    stopping = asyncio.create_task(lab.stack.gateway.stop())
    for pair in pairs:
        await leave(pair)
    await stopping
    await lab.stack.start_another()


@GROUP.test(
    "drain",
    "The stop signal closes live connections with 1001 on both sides, and messages before it arrive",
    level=FEATURE,
    rule="spec §1, RFC 6455 §7.4.1",
    needs=["drain"],
    own_gateway=True,
    seconds=40,
)
async def drain(lab: Lab) -> None:
    pairs = [await lab.join() for _ in range(3)]
    for pair in pairs:
        await pair.exchange()
        pair.studio.send(TEXT, "the last")
    stopping = asyncio.create_task(lab.stack.gateway.stop())
    for pair in pairs:
        await pair.client.expect_message(TEXT, "the last")
        await leave(pair)
    await stopping


@GROUP.test(
    "drain-refuses",
    "After the stop signal, no new connection reaches a backend",
    level=FEATURE,
    rule="spec §1",
    needs=["drain"],
    own_gateway=True,
    seconds=40,
)
async def drain_refuses(lab: Lab) -> None:
    pair = await lab.join()
    stopping = asyncio.create_task(lab.stack.gateway.stop())
    await pair.client.expect_close(1001)
    with contextlib.suppress(Violation):  # a refusal, no listener any more, or no answer
        client = await lab.dial()
        client.write(lab.request(token=lab.mint(f"late-{lab.marker}")))
        answer = await client.answer()
        true("an answer other than 101", answer.status != 101, answer.first_line)
    lab.no_arrival()
    pair.client.send_close(1001)
    await stopping


@GROUP.test(
    "restart",
    "Clients of a gateway that is stopped get 1001, and the gateway that is started next takes them",
    level=FEATURE,
    rule="spec §1, RFC 6455 §7.4.1",
    needs=["drain"],
    own_gateway=True,
    seconds=60,
)
async def restart(lab: Lab) -> None:
    pairs = [await lab.join() for _ in range(3)]
    await restarted(lab, pairs)
    for _ in pairs:
        await (await lab.join()).exchange()


@GROUP.test(
    "restart-same-backend",
    "After a restart, each user is on the same backend as before",
    level=FEATURE,
    rule="spec §3, one user, one backend",
    needs=["drain", "auth", "sticky", "studios"],
    own_gateway=True,
    seconds=60,
)
async def restart_same_backend(lab: Lab) -> None:
    tokens = [lab.mint(f"{lab.user}-{number}") for number in range(8)]
    before = [await lab.join(lab.request(token=token)) for token in tokens]
    names = [pair.studio.name for pair in before]
    await restarted(lab, before)
    after = [(await lab.join(lab.request(token=token))).studio.name for token in tokens]
    equal("the backends of the users", after, names)


@GROUP.test(
    "restart-rolling",
    "While a gateway drains, another one takes its clients, and keeps its own",
    level=FEATURE,
    rule="spec §1, RFC 6455 §7.4.1",
    needs=["drain", "rolling_restart"],
    own_gateway=True,
    seconds=60,
)
async def restart_rolling(lab: Lab) -> None:
    pairs = [await lab.join() for _ in range(3)]
    before = await lab.stack.start_another()
    early = await lab.join()
    stopping = asyncio.create_task(before.stop())
    for pair in pairs:
        await leave(pair)
        await (await lab.join(lab.request(token=lab.mint(f"back-{lab.marker}")))).exchange()
    await stopping
    await early.exchange()
