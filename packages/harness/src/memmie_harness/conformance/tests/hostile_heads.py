"""Request heads that are too large, too long under way, or without an end."""

from __future__ import annotations

import asyncio

from memmie_harness.conformance.checks import true
from memmie_harness.conformance.group import FEATURE, MUST, SHOULD, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Violation
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.hostile import GROUP


@GROUP.table(
    level=FEATURE,
    rule="spec §8, request head",
    needs=["head_bytes"],
    rows=[
        row("head-too-large", "A head above the limit gets 4xx", "X-Large: {}"),
        row("cookie-too-large", "A cookie above the limit gets 4xx", "Cookie: a={}"),
    ],
)
async def head_too_large(lab: Lab, line: str) -> None:
    client = await lab.dial()
    client.write(lab.request(line.format("x" * int(lab.setup.number("head_bytes")))))
    await lab.refusal(client, may_hang_up=True)


@GROUP.test(
    "url-too-long",
    "A URL above the limit gets 414 or another 4xx",
    level=FEATURE,
    rule="RFC 9110 §15.5.15",
    needs=["head_bytes"],
)
async def url_too_long(lab: Lab) -> None:
    client = await lab.dial()
    client.write(lab.request(query="a=" + "x" * int(lab.setup.number("head_bytes"))))
    await lab.refusal(client, may_hang_up=True)


@GROUP.test(
    "head-just-fits",
    "A head a little below the limit is accepted",
    level=FEATURE,
    rule="spec §8, request head",
    needs=["head_bytes"],
)
async def head_just_fits(lab: Lab) -> None:
    room = int(lab.setup.number("head_bytes")) - len(lab.request()) - 64
    pair = await lab.join(lab.request("X-Large: " + "x" * room))
    await pair.exchange()


@GROUP.test(
    "too-many-fields",
    "More header fields than the limit get 4xx",
    level=FEATURE,
    rule="spec §8, request head",
    needs=["header_fields"],
)
async def too_many_fields(lab: Lab) -> None:
    client = await lab.dial()
    client.write(lab.request(*(f"X-{number}: 1" for number in range(int(lab.setup.number("header_fields"))))))
    await lab.refusal(client, may_hang_up=True)


@GROUP.test(
    "head-without-end", "A head without an end is cut off before 1 MiB", level=SHOULD, rule="RFC 9110 §17.5"
)
async def head_without_end(lab: Lab) -> None:
    client = await lab.dial()
    client.write(lab.request()[:-2])
    try:
        for number in range(1024):
            client.write(f"X-{number}: {'x' * 1000}\r\n".encode())
            await client.writer.drain()
            if client.reader.at_eof() or client.writer.transport.is_closing():
                break
        answer = await client.answer()
        true("an answer 4xx", 400 <= answer.status < 500, answer.first_line)
    except (ConnectionError, Violation):
        pass  # it was cut off without an answer that could be read, which is allowed
    lab.no_arrival()


@GROUP.test(
    "half-a-head", "Clients that leave inside their head harm nobody", level=MUST, rule="RFC 9112 §2.2"
)
async def half_a_head(lab: Lab) -> None:
    for cut in (1, 10, 60, 100):
        client = await lab.dial()
        client.write(lab.request()[:cut])
        await client.writer.drain()
        client.reset()
    pair = await lab.join()
    await pair.exchange()
    lab.no_arrival()


@GROUP.test(
    "slow-head",
    "A client that does not complete its head in time gets 408, or loses its connection",
    level=FEATURE,
    rule="RFC 9110 §15.5.9, spec §8",
    needs=["head_seconds"],
)
async def slow_head(lab: Lab) -> None:
    client = await lab.dial()
    client.write(lab.request()[:-2])
    client.patience += lab.setup.number("head_seconds")
    seen = await client.expect_end()
    true("nothing, or an answer 408", not seen or b" 408 " in seen[:20], seen)
    lab.no_arrival()


@GROUP.test(
    "slow-head-byte-by-byte",
    "Single bytes do not give a client more time for its head",
    level=FEATURE,
    rule="RFC 9110 §15.5.9, spec §8",
    needs=["head_seconds"],
)
async def slow_head_bytes(lab: Lab) -> None:
    client = await lab.dial()
    client.patience += lab.setup.number("head_seconds")
    lab.background(_drip(client, lab.request()[:-2]))
    seen = await client.expect_end()
    true("nothing, or an answer 408", not seen or b" 408 " in seen[:20], seen)
    lab.no_arrival()


async def _drip(client: Side, data: bytes) -> None:
    """Send a byte each 50 ms, for longer than any head may take here."""
    for byte in data + b"x" * 10_000:
        client.write(bytes([byte]))
        await asyncio.sleep(0.05)
