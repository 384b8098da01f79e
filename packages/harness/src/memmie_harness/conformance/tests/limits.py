"""Limits: what is at the limit passes, what is above does not, and every place is given back."""

from __future__ import annotations

import asyncio
import struct

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.pair import Pair, accept
from memmie_harness.conformance.peers import BINARY, CONT, Head
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.closes import may_be_sent
from memmie_harness.conformance.tests.data import both, ends

GROUP = Group("limits", "Limits")

RULE = "spec §8"


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    needs=["message_bytes"],
    rows=[
        *both("message-at-limit", "A message {} of exactly the largest size arrives", 1),
        *both("fragments-at-limit", "Fragments {} of exactly the largest size together arrive", 4),
    ],
)
async def at_limit(lab: Lab, direction: str, parts: int) -> None:
    sender, receiver = ends(await lab.join(), direction)
    size = int(lab.setup.number("message_bytes"))
    payload = b"x" * size
    step = -(-size // parts)
    for start in range(0, size, step):
        last = start + step >= size
        sender.send(BINARY if start == 0 else CONT, payload[start : start + step], fin=last)
    await receiver.expect_message(BINARY, payload)


@GROUP.table(
    level=FEATURE,
    rule="RFC 6455 §7.4.1, spec §8",
    needs=["message_bytes"],
    rows=[
        *both(
            "message-above-limit", "A message {} that is one byte too large ends the connection with 1009", 1
        ),
        *both(
            "fragments-above-limit",
            "Fragments {} that are one byte too large together end the connection with 1009",
            4,
        ),
    ],
)
async def above_limit(lab: Lab, direction: str, parts: int) -> None:
    sender, receiver = ends(await lab.join(), direction)
    size = int(lab.setup.number("message_bytes")) + 1
    step = -(-size // parts)
    for start in range(0, size, step):
        sender.send(BINARY if start == 0 else CONT, b"x" * min(step, size - start), fin=start + step >= size)
    closing = asyncio.create_task(_close_late(receiver))
    try:
        await sender.expect_close(1009)
    finally:
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)


async def _close_late(side: Side) -> None:
    """Read up to a Close frame, with data in front of it, and answer it."""
    while (frame := await side.read_frame()).opcode != 8:
        pass
    side.send(8, frame.payload)


@GROUP.table(
    level=FEATURE,
    rule="RFC 6455 §7.4.1, spec §8",
    needs=["message_bytes"],
    rows=[
        *both(
            "announced-too-large",
            "A frame {} that only announces too large a size ends the connection with 1009",
            1 << 31,
        ),
        *both(
            "announced-huge", "A frame {} that announces 2^62 bytes ends the connection with 1009", 1 << 62
        ),
    ],
)
async def announced(lab: Lab, direction: str, size: int) -> None:
    sender, receiver = ends(await lab.join(), direction)
    mask = sender.mask or b""
    sender.write(struct.pack("!BBQ", 0x80 | BINARY, (0x80 if mask else 0) | 127, size) + mask + b"x" * 100)
    closing = asyncio.create_task(_close_late(receiver))
    try:
        await sender.expect_close(1009)
    finally:
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)


async def fill(lab: Lab, count: int) -> list[Pair]:
    """Open so many connections."""
    return [await lab.join() for _ in range(count)]


async def full(lab: Lab) -> None:
    """Check that more connections are refused with 429."""
    for _ in range(3):
        await lab.refused(lab.request(), 429)


@GROUP.test(
    "user-exact",
    "A user has exactly as many connections as the limit says; one more gets 429",
    level=FEATURE,
    rule=RULE,
    needs=["connections_per_user"],
)
async def user_exact(lab: Lab) -> None:
    limit = int(lab.setup.number("connections_per_user"))
    pairs = await fill(lab, limit)
    await full(lab)
    for pair in pairs:
        await pair.exchange()


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    needs=["connections_per_user"],
    rows=[
        row("user-back-after-close", "A closed connection gives its place back", "close"),
        row(
            "user-back-after-studio-close",
            "A connection that the backend closed gives its place back",
            "studio",
        ),
        row("user-back-after-reset", "A reset connection gives its place back", "reset"),
        row("user-back-after-fin", "A connection that ends with FIN gives its place back", "fin"),
    ],
)
async def user_back(lab: Lab, how: str) -> None:
    limit = int(lab.setup.number("connections_per_user"))
    pair = (await fill(lab, limit))[0]
    await full(lab)
    if how == "reset":
        pair.client.reset()
    elif how == "fin":
        pair.client.leave()
    else:
        first, second = (pair.client, pair.studio) if how == "close" else (pair.studio, pair.client)
        first.send_close(1000)
        await second.expect_close(check=may_be_sent)
        second.send_close(1000)
        await first.expect_close(check=may_be_sent)
        pair.studio.leave()
        pair.client.leave()
    if how in {"reset", "fin"}:
        _answer_close(pair.studio, lab)

    await lab.until_joined(instead_of=[429])


def _answer_close(side: Side, lab: Lab) -> None:
    """Answer the gateway's Close frame at the Studio, and close, in the background."""

    async def answer() -> None:
        side.send(8, (await side.closing_frame()).payload)
        side.leave()

    lab.background(answer())


@GROUP.test(
    "user-back-after-refusal",
    "A connection that the backend refuses gives its place back",
    level=FEATURE,
    rule=RULE,
    needs=["connections_per_user"],
)
async def user_back_after_refusal(lab: Lab) -> None:
    limit = int(lab.setup.number("connections_per_user"))
    for _ in range(limit + 2):
        client, studio = await lab.knock()
        studio.write(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
        answer = await client.answer()
        true("an answer other than 429", answer.status not in {101, 429}, answer.first_line)
        studio.leave()
    await fill(lab, limit)


@GROUP.test(
    "user-race",
    "Of many clients that come at once, exactly as many are let in as the limit says",
    level=FEATURE,
    rule=RULE,
    needs=["connections_per_user"],
)
async def user_race(lab: Lab) -> None:
    limit = int(lab.setup.number("connections_per_user"))
    clients = [await lab.dial() for _ in range(2 * limit + 3)]
    for client in clients:
        client.write(lab.request())

    async def accept_all() -> None:
        while True:
            accept(await lab.arrival())

    accepting = asyncio.create_task(accept_all())
    try:
        answers: list[Head] = [await client.answer() for client in clients]
    finally:
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
    statuses = sorted(answer.status for answer in answers)
    equal("the statuses", statuses, [101] * limit + [429] * (limit + 3))


@GROUP.test(
    "user-alone",
    "The limit of one user does not affect another",
    level=FEATURE,
    rule=RULE,
    needs=["connections_per_user"],
)
async def user_alone(lab: Lab) -> None:
    await fill(lab, int(lab.setup.number("connections_per_user")))
    pair = await lab.join(lab.request(token=lab.mint(f"other-{lab.marker}")))
    await pair.exchange()


@GROUP.test(
    "address-exact",
    "An address has exactly as many connections as the limit says; one more gets 429",
    level=FEATURE,
    rule=RULE,
    needs=["connections_per_address"],
    own_gateway=True,
)
async def address_exact(lab: Lab) -> None:
    limit = int(lab.setup.number("connections_per_address"))
    for number in range(limit):
        await lab.join(lab.request(token=lab.mint(f"{lab.user}-{number}")))
    for number in range(3):
        await lab.refused(lab.request(token=lab.mint(f"{lab.user}-more-{number}")), 429)


@GROUP.test(
    "process-exact",
    "The gateway has exactly as many connections as the limit says; one more gets 503",
    level=FEATURE,
    rule=RULE,
    needs=["connections"],
    own_gateway=True,
)
async def process_exact(lab: Lab) -> None:
    for number in range(int(lab.setup.number("connections"))):
        await lab.join(lab.request(token=lab.mint(f"{lab.user}-{number}")))
    for number in range(3):
        await lab.refused(lab.request(token=lab.mint(f"{lab.user}-more-{number}")), 503)
