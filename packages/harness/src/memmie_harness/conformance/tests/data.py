"""Messages: content, order, fragments, control frames between them, and any way to cut the bytes."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import zlib

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, MUST, Group, Row, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.pair import Pair
from memmie_harness.conformance.peers import BINARY, CONT, PING, PONG, TEXT
from memmie_harness.conformance.peers.side import Side, describe

GROUP = Group("data", "Messages")

FRAMES = "RFC 6455 §5.2"
FRAGMENTS = "RFC 6455 §5.4"
SENDING = "RFC 6455 §6"

UP, DOWN = "up", "down"
"""From the client to the backend, and back."""

DIRECTIONS = {UP: "from the client", DOWN: "from the backend"}

DEFLATE = 0x40
"""The bit RSV1, which marks a compressed message (RFC 7692 §6)."""


def ends(pair: Pair, direction: str) -> tuple[Side, Side]:
    """Return the sender and the receiver."""
    return (pair.client, pair.studio) if direction == UP else (pair.studio, pair.client)


def both(name: str, title: str, *values: object) -> list[Row]:
    """Return a row for each direction; `{}` in the title is the direction in words."""
    return [
        row(f"{name}-{direction}", title.format(words), direction, *values)
        for direction, words in DIRECTIONS.items()
    ]


@GROUP.table(
    level=MUST,
    rule=FRAMES,
    rows=itertools.chain.from_iterable(
        both(f"size-{size}", f"A message of {size} bytes arrives {{}} byte by byte as it was sent", size)
        for size in (0, 1, 125, 126, 127, 65_535, 65_536, 400_000)
    ),
)
async def size(lab: Lab, direction: str, size: int) -> None:
    pair = await lab.join()
    sender, receiver = ends(pair, direction)
    payload = (bytes(range(256)) * (size // 256 + 1))[:size]
    sender.send(BINARY, payload)
    await receiver.expect_message(BINARY, payload)
    await pair.exchange()


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §5.6",
    rows=[
        *both("text", "Text with characters of one to four bytes arrives {} unchanged", "aü€😀", TEXT),
        *both(
            "text-json", "JSON with blanks and escapes arrives {} unchanged", '{ "a" : "\\u00e9\\n" }', TEXT
        ),
        *both("text-nul", "Text with the character U+0000 arrives {} unchanged", "a\0b", TEXT),
        *both("text-is-not-binary", "Text arrives {} as text", "text", TEXT),
        *both("binary-is-not-text", "Binary data that is valid UTF-8 arrives {} as binary", "text", BINARY),
    ],
)
async def text(lab: Lab, direction: str, content: str, opcode: int) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send(opcode, content)
    await receiver.expect_message(opcode, content)


@GROUP.table(
    level=MUST, rule=SENDING, rows=both("order", "A thousand messages arrive {} complete and in order")
)
async def order(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.write(b"".join(sender.frame(TEXT, str(number)) for number in range(1000)))
    for number in range(1000):
        await receiver.expect_message(TEXT, str(number))


@GROUP.test(
    "both-ways", "Messages that cross each other arrive complete and in order", level=MUST, rule=SENDING
)
async def both_ways(lab: Lab) -> None:
    pair = await lab.join()

    async def stream(direction: str) -> None:
        sender, receiver = ends(pair, direction)
        for number in range(200):
            sender.send(BINARY, number.to_bytes(4, "big") * 256)
            await receiver.expect_message(BINARY, number.to_bytes(4, "big") * 256)

    await asyncio.gather(stream(UP), stream(DOWN))


@GROUP.table(
    level=MUST, rule=SENDING, rows=both("many-bytes", "8 MiB in messages of 32 KiB arrive {} without a loss")
)
async def many_bytes(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    payloads = [hashlib.sha256(str(number).encode()).digest() * 1024 for number in range(256)]

    async def send() -> None:
        for payload in payloads:
            sender.send(BINARY, payload)
            await sender.writer.drain()

    sending = asyncio.create_task(send())
    try:
        for payload in payloads:
            await receiver.expect_message(BINARY, payload)
    finally:
        sending.cancel()


@GROUP.table(
    level=MUST,
    rule=FRAGMENTS,
    rows=[
        *both(
            "fragments",
            "A message in three fragments arrives {} as one message",
            [b"one ", b"two ", b"three"],
        ),
        *both("fragments-empty", "Empty fragments do no harm {}", [b"", b"", b"two", b""]),
        *both(
            "fragments-all-empty", "A message of empty fragments arrives {} as an empty message", [b"", b""]
        ),
        *both(
            "fragments-many",
            "A message in 300 fragments arrives {} as one message",
            [b"%d," % n for n in range(300)],
        ),
        *both(
            "fragments-large",
            "A message in fragments of 70,000 bytes arrives {} as one message",
            [b"x" * 70_000] * 4,
        ),
        *both(
            "fragments-inside-character",
            "Text that is cut inside a character arrives {} as one message",
            [b"\xe2\x82", b"\xac\xf0", b"\x9f\x98", b"\x80"],
        ),
    ],
)
async def fragments(lab: Lab, direction: str, parts: list[bytes]) -> None:
    pair = await lab.join()
    sender, receiver = ends(pair, direction)
    send_fragments(sender, TEXT, parts)
    await receiver.expect_message(TEXT, b"".join(parts))
    await pair.exchange()


def send_fragments(sender: Side, opcode: int, parts: list[bytes]) -> None:
    """Send a message in fragments."""
    for number, part in enumerate(parts):
        sender.send(opcode if number == 0 else CONT, part, fin=number == len(parts) - 1)


@GROUP.table(
    level=MUST,
    rule=FRAGMENTS,
    rows=[
        *both("ping-between-fragments", "A ping between fragments does no harm {}", PING),
        *both("pong-between-fragments", "A pong between fragments does no harm {}", PONG),
    ],
)
async def control_between(lab: Lab, direction: str, opcode: int) -> None:
    pair = await lab.join()
    sender, receiver = ends(pair, direction)
    sender.send(TEXT, "one ", fin=False)
    sender.send(opcode, "control")
    sender.send(CONT, "two", fin=True)
    await receiver.expect_message(TEXT, "one two")
    await pair.exchange()


@GROUP.table(
    level=FEATURE,
    rule=FRAGMENTS,
    needs=["keeps_frames"],
    rows=[
        *both("keeps-fragments", "Fragments arrive {} as they were sent", [b"one", b"two", b"three"]),
        *both("keeps-empty-fragments", "Empty fragments arrive {} as they were sent", [b"", b"two", b""]),
    ],
)
async def keeps_fragments(lab: Lab, direction: str, parts: list[bytes]) -> None:
    sender, receiver = ends(await lab.join(), direction)
    send_fragments(sender, BINARY, parts)
    for number, part in enumerate(parts):
        await receiver.expect_frame(BINARY if number == 0 else CONT, part, fin=number == len(parts) - 1)


@GROUP.table(
    level=FEATURE,
    rule=FRAGMENTS,
    needs=["keeps_frames"],
    rows=[
        *both("first-fragment-at-once", "The first fragment arrives {} before the last one is sent"),
    ],
)
async def first_fragment_at_once(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send(TEXT, "one", fin=False)
    await receiver.expect_frame(TEXT, "one", fin=False)
    sender.send(CONT, "two", fin=True)
    await receiver.expect_frame(CONT, "two", fin=True)


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §5.5.2",
    rows=[
        *both("ping", "A ping {} is answered by a pong with the same payload", b"payload"),
        *both("ping-empty", "An empty ping {} is answered by an empty pong", b""),
        *both("ping-largest", "A ping of 125 bytes {} is answered by the same bytes", b"p" * 125),
        *both(
            "ping-binary", "A ping {} with any bytes is answered by the same bytes", bytes(range(100, 200))
        ),
    ],
)
async def ping(lab: Lab, direction: str, payload: bytes) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send(PING, payload)
    # Either the gateway answers, or the other end, which is read meanwhile.
    answering = asyncio.create_task(receiver.message())
    try:
        while (frame := await sender.read_frame()).opcode == PING:
            sender.send(PONG, frame.payload)
        equal("the answer to the ping", (frame.opcode, frame.payload), (PONG, payload))
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §5.5.3",
    rows=both("pong-unasked", "A pong {} that nobody asked for does no harm"),
)
async def pong_unasked(lab: Lab, direction: str) -> None:
    pair = await lab.join()
    sender, _ = ends(pair, direction)
    sender.send(PONG, "unasked")
    await pair.exchange()


@GROUP.table(
    level=MUST,
    rule=FRAMES,
    rows=[
        *both("byte-by-byte", "Frames that arrive byte by byte {} are forwarded unchanged", 1),
        *both("in-threes", "Frames that arrive in threes {} are forwarded unchanged", 3),
        *both("in-nineteens", "Frames that arrive in pieces of 19 bytes {} are forwarded unchanged", 19),
    ],
)
async def cut(lab: Lab, direction: str, step: int) -> None:
    sender, receiver = ends(await lab.join(), direction)
    payloads = [b"", b"a", b"c" * 126]
    data = b"".join(sender.frame(BINARY, payload) for payload in payloads)
    for start in range(0, len(data), step):
        sender.write(data[start : start + step])
        await sender.writer.drain()
        await asyncio.sleep(0)
    for payload in payloads:
        await receiver.expect_message(BINARY, payload)


@GROUP.table(
    level=MUST,
    rule=FRAMES,
    rows=both(
        "cut-in-the-head",
        "Frames that are cut {} anywhere in their head, with a pause, are forwarded unchanged",
    ),
)
async def cut_in_the_head(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    payload = b"x" * 66_000
    frame = sender.frame(BINARY, payload)
    for offset in range(1, 15):
        sender.write(frame[:offset])
        await sender.writer.drain()
        await asyncio.sleep(0.005)  # so that the gateway reads the pieces separately; nothing is judged by it
        sender.write(frame[offset:])
        await receiver.expect_message(BINARY, payload)


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §5.1",
    rows=[
        row("masks-for-backend", "Frames to the backend are masked", UP),
        row("no-mask-for-client", "Frames to the client are not masked", DOWN),
    ],
)
async def masks(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send(TEXT, "masked?")
    frame = await receiver.read_frame()  # which checks the bit
    equal("the payload", frame.payload, b"masked?")


@GROUP.test("other-masks", "Any masking key is understood, also zero", level=MUST, rule="RFC 6455 §5.3")
async def other_masks(lab: Lab) -> None:
    pair = await lab.join()
    for mask in (bytes(4), b"\xff\xff\xff\xff", b"\x00\x01\x02\x03"):
        pair.client.mask = mask
        pair.client.send(BINARY, b"payload of any length")
        await pair.studio.expect_message(BINARY, b"payload of any length")


def deflated(payload: bytes) -> bytes:
    """Compress a message (RFC 7692 §7.2.1)."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@GROUP.table(
    level=FEATURE,
    rule="RFC 7692 §7",
    needs=["forwards_extensions"],
    rows=[
        *both("deflate", "A compressed message arrives {} as it was sent", 1),
        *both("deflate-fragments", "A compressed message in fragments arrives {} as it was sent", 2),
    ],
)
async def deflate(lab: Lab, direction: str, fragments: int) -> None:
    offer = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
    pair = await lab.join(
        lab.request(f"Sec-WebSocket-Extensions: {offer}"), f"Sec-WebSocket-Extensions: {offer}"
    )
    equal("the extension in the 101", pair.client.head.get("sec-websocket-extensions"), offer)
    sender, receiver = ends(pair, direction)
    receiver.reserved_bits = DEFLATE
    data = deflated(b"compress me, " * 100)
    if fragments == 2:
        sender.send(TEXT, data[:9], fin=False, reserved=DEFLATE)
        sender.send(CONT, data[9:], fin=True)
    else:
        sender.send(TEXT, data, reserved=DEFLATE)
    first = await receiver.read_frame()
    true("the bit RSV1 in the first frame", first.reserved == DEFLATE, describe(first))
    seen = first.payload
    while not first.fin and not (last := await receiver.read_frame()).fin:
        seen += last.payload
    if not first.fin:
        seen += last.payload
    equal("the compressed message", seen, data)


@GROUP.test(
    "deflate-declined",
    "If the backend does not accept compression, the client is not told that it does",
    level=MUST,
    rule="RFC 6455 §9.1",
)
async def deflate_declined(lab: Lab) -> None:
    pair = await lab.join(lab.request("Sec-WebSocket-Extensions: permessage-deflate"))
    if pair.client.head.get("sec-websocket-extensions"):
        return  # the gateway compresses itself, on this side only
    await pair.exchange()


@GROUP.test(
    "users-are-apart",
    "Messages of one connection never arrive at another one",
    level=MUST,
    rule=SENDING,
)
async def apart(lab: Lab) -> None:
    pairs = [await lab.join() for _ in range(4)]
    for number, pair in enumerate(pairs):
        pair.client.send(TEXT, f"up {number}")
        pair.studio.send(TEXT, f"down {number}")
    for number, pair in enumerate(pairs):
        await pair.studio.expect_message(TEXT, f"up {number}")
        await pair.client.expect_message(TEXT, f"down {number}")
