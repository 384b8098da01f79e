"""Frames that RFC 6455 forbids: whoever sends one is told so, and the other side never sees it."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable

from memmie_harness.conformance.checks import together, true
from memmie_harness.conformance.group import FEATURE, MUST, Group
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Ended
from memmie_harness.conformance.peers import BINARY, CLOSE, CONT, MASK, PING, PONG, TEXT, build
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.closes import may_be_sent
from memmie_harness.conformance.tests.data import both, ends

GROUP = Group("violations", "Frames that break the protocol", needs=("inspects_frames",))

Bytes = Callable[[Side], bytes]
"""Builds what a side sends."""

MARK = b"forbidden"
"""What is in each invalid frame, and must not reach the other side."""


def _frame(opcode: int, payload: bytes = MARK, *, fin: bool = True, reserved: int = 0) -> Bytes:
    return lambda side: side.frame(opcode, payload, fin=fin, reserved=reserved)


def _length(code: int, encoded: bytes) -> Bytes:
    """Return a binary frame with this length code and these bytes of length."""

    def make(side: Side) -> bytes:
        first = struct.pack("!BB", 0x80 | BINARY, (0x80 if side.mask else 0) | code)
        return first + encoded + (side.mask or b"") + (build(BINARY, MARK, mask=side.mask)[-len(MARK) :])

    return make


def _wrong_mask(side: Side) -> bytes:
    return build(TEXT, MARK, mask=MASK if side.mask is None else None)


def _new_message_inside(side: Side) -> bytes:
    return side.frame(TEXT, "begun", fin=False) + side.frame(TEXT, MARK)


FORBIDDEN: dict[str, tuple[str, str, Bytes]] = {
    **{
        f"rsv-{bit:02x}": (
            f"the reserved bit {bit:#x} without an extension",
            "RFC 6455 §5.2",
            _frame(TEXT, reserved=bit),
        )
        for bit in (0x40, 0x20, 0x10)
    },
    "rsv-in-control": ("a reserved bit in a ping", "RFC 6455 §5.2", _frame(PING, reserved=0x40)),
    **{
        f"opcode-{opcode:x}": (f"the reserved opcode {opcode:#x}", "RFC 6455 §5.2", _frame(opcode))
        for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)
    },
    "wrong-mask": ("the wrong mask bit", "RFC 6455 §5.1", _wrong_mask),
    "ping-fragmented": ("a ping without FIN", "RFC 6455 §5.5", _frame(PING, fin=False)),
    "pong-fragmented": ("a pong without FIN", "RFC 6455 §5.5", _frame(PONG, fin=False)),
    "close-fragmented": (
        "a Close frame without FIN",
        "RFC 6455 §5.5",
        _frame(CLOSE, b"\x03\xe8" + MARK, fin=False),
    ),
    "ping-too-long": ("a ping of 126 bytes", "RFC 6455 §5.5", _frame(PING, MARK * 14)),
    "close-too-long": ("a Close frame of 128 bytes", "RFC 6455 §5.5", _frame(CLOSE, b"\x03\xe8" + MARK * 14)),
    "continuation-of-nothing": ("a continuation without a first fragment", "RFC 6455 §5.4", _frame(CONT)),
    "last-fragment-of-nothing": (
        "a continuation without FIN and without a first fragment",
        "RFC 6455 §5.4",
        _frame(CONT, fin=False),
    ),
    "message-inside-message": ("a new message between two fragments", "RFC 6455 §5.4", _new_message_inside),
    "length-16-not-minimal": (
        "a length below 126 in 16 bits",
        "RFC 6455 §5.2",
        _length(126, struct.pack("!H", len(MARK))),
    ),
    "length-64-not-minimal": (
        "a length below 65536 in 64 bits",
        "RFC 6455 §5.2",
        _length(127, struct.pack("!Q", len(MARK))),
    ),
    "length-high-bit": (
        "a length with the highest bit",
        "RFC 6455 §5.2",
        _length(127, struct.pack("!Q", (1 << 63) + 9)),
    ),
}
"""What is forbidden, by the name of its tests: in words, the rule, and the bytes."""


async def _check(lab: Lab, direction: str, make: Bytes, *codes: int) -> None:
    pair = await lab.join()
    sender, receiver = ends(pair, direction)
    # What is valid before the violation arrives (in one segment with it, so a gateway has both at once).
    sender.write(sender.frame(BINARY, "valid") + make(sender))
    await receiver.expect_message(BINARY, "valid")
    # Which side is told first is left to the gateway.
    await together(_told_of_end(receiver), _told_of_violation(sender, *codes))


async def _told_of_end(receiver: Side) -> None:
    while (frame := await receiver.read_frame()).opcode != CLOSE:
        true("no byte of the invalid frame", MARK not in frame.payload, frame.payload)
    code = int.from_bytes(frame.payload[:2], "big") if frame.payload else 1005
    true("a Close frame that may be sent", may_be_sent(code) and MARK not in frame.payload, frame.payload)
    receiver.send_close(1000)


async def _told_of_violation(sender: Side, *codes: int) -> None:
    try:
        # Frames of the other side, for example a pong, may come before.
        while (frame := await sender.read_frame()).opcode != CLOSE:
            pass
    except Ended:
        return  # that a Close frame comes first is only a SHOULD
    code = int.from_bytes(frame.payload[:2], "big")
    true(f"the code {' or '.join(map(str, codes))}", code in codes, str(code))
    sender.send_close(1002)
    sender.leave()


for _name, (_words, _rule, _make) in FORBIDDEN.items():
    _is_strict = "not-minimal" in _name
    GROUP.table(
        level=FEATURE if _is_strict else MUST,
        rule=f"{_rule}, §7.1.7",
        needs=["strict_lengths"] if _is_strict else [],
        rows=both(
            _name,
            f"{_words[0].upper()}{_words[1:]} {{}} ends the connection, and is not forwarded",
            _make,
            # A size of 2^63 bytes or more breaks the protocol, and is too large as well.
            *((1002, 1009) if _name == "length-high-bit" else (1002,)),
        ),
    )(_check)


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §7.1.7",
    rows=itertools.chain(
        both("nothing-after", "Nothing is forwarded that comes {} after a violation"),
    ),
)
async def nothing_after(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.write(sender.frame(3) + sender.frame(TEXT, MARK) * 3)
    lab.background(_told_of_violation(sender, 1002))
    frame = await receiver.read_frame()
    true("a Close frame", frame.opcode == CLOSE, frame.payload)
    rest = await receiver.leftover()
    true("nothing behind it", MARK not in rest and not rest, rest)
