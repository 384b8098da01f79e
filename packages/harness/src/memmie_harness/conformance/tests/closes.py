"""How connections end: Close frames in both directions, lost connections, half-closed ones."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace

from memmie_harness.conformance.checks import equal, together, true
from memmie_harness.conformance.group import FEATURE, MUST, SHOULD, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Ended
from memmie_harness.conformance.peers import BINARY, CLOSE, TEXT, close_body
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.data import DIRECTIONS, both, ends

GROUP = Group("closes", "Ends of connections")

CLOSING = "RFC 6455 §5.5.1"
CODES = "RFC 6455 §7.4"
PASSED_ON = "spec §1, closes"

SENT_CODES = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4401, 4999)
"""Codes that an endpoint may send (RFC 6455 §7.4, and the registry of close codes)."""

FORBIDDEN_CODES = (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
"""Codes that no endpoint may send."""


def may_be_sent(code: int) -> bool:
    """Tell whether an endpoint may send this code; 1005 stands for a Close frame without a code."""
    return code in {1005, *range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


@GROUP.table(
    level=FEATURE,
    rule=PASSED_ON,
    needs=["forwards_closes"],
    rows=itertools.chain.from_iterable(
        both(f"code-{code}", f"A Close frame {{}} with the code {code} and a reason arrives unchanged", code)
        for code in SENT_CODES
    ),
)
async def code(lab: Lab, direction: str, code: int) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send_close(code, "the reason")
    await receiver.expect_close(code, reason="the reason")


@GROUP.table(
    level=FEATURE,
    rule=PASSED_ON,
    needs=["forwards_closes"],
    rows=[
        *both("no-reason", "A Close frame {} without a reason arrives without one", ""),
        *both("long-reason", "A reason of 123 bytes {} arrives unchanged", "r" * 123),
        *both("utf-8-reason", "A reason {} with characters of up to four bytes arrives unchanged", "aü€😀"),
    ],
)
async def reason(lab: Lab, direction: str, reason: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send_close(4000, reason)
    await receiver.expect_close(4000, reason=reason)


@GROUP.table(
    level=MUST,
    rule=CLOSING,
    rows=both("reaches-other-side", "After a Close frame {}, the other side gets a Close frame"),
)
async def reaches_other_side(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    lab.leave_after_close(sender)
    sender.send_close(1000)
    await receiver.expect_close(check=may_be_sent)


@GROUP.table(
    level=FEATURE,
    rule=CLOSING,
    needs=["answers_half_closed"],
    rows=both("fin-is-answered", "A Close frame {} with FIN right behind it is answered by a Close frame"),
)
async def fin_is_answered(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send_close(4000, "bye")
    sender.finish()
    await receiver.expect_close(check=may_be_sent)
    receiver.send_close(4000)
    await sender.expect_close(check=may_be_sent)
    equal("what comes after the Close frame", await sender.expect_end(), b"")


@GROUP.table(
    level=MUST,
    rule=CLOSING,
    rows=both("answered", "A Close frame {} is answered by a Close frame, and TCP ends"),
)
async def answered(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send_close(1000, "bye")
    await together(finish(sender), answer(receiver))


async def finish(sender: Side, *codes: int) -> None:
    """Read the answer to a Close frame, and end TCP as the role asks: the server first (RFC 6455 §7.1.1)."""
    await sender.expect_close(*codes, check=None if codes else may_be_sent)
    if sender.mask is not None:
        equal("what comes after the Close frame", await sender.expect_end(), b"")
    sender.leave()


async def answer(receiver: Side) -> None:
    """Answer a Close frame with the same payload, and end TCP as the role asks."""
    receiver.send(CLOSE, (await receiver.closing_frame()).payload)
    if receiver.mask is not None:
        equal("what comes after the Close frame", await receiver.expect_end(), b"")
    receiver.leave()


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §5.5.1, §7.4.1",
    rows=both("without-code", "A Close frame {} without a code never becomes one with 1005, 1006 or 1015"),
)
async def without_code(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    lab.leave_after_close(sender)
    sender.send(CLOSE)
    frame = await receiver.closing_frame()
    code = int.from_bytes(frame.payload[:2], "big") if frame.payload else 1005
    true(
        "no code, or one that may be sent",
        not frame.payload or (may_be_sent(code) and code != 1005),
        str(code),
    )


@GROUP.table(
    level=FEATURE,
    rule=PASSED_ON,
    needs=["forwards_closes"],
    rows=both("without-code-unchanged", "A Close frame {} without a code arrives without one"),
)
async def without_code_unchanged(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send(CLOSE)
    await receiver.expect_close(1005)


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §7.4.1, §7.4.2",
    needs=["inspects_frames"],
    rows=(
        # The RFC does not say what codes from 5000 mean.
        replace(each, level=FEATURE, rule="RFC 6455 §7.4, spec §1, closes") if code >= 5000 else each
        for code in FORBIDDEN_CODES
        for each in both(
            f"forbidden-{code}",
            f"The forbidden code {code} {{}} is not passed on, and the sender gets 1002 or its connection ends",
            code,
        )
    ),
)
async def forbidden(lab: Lab, direction: str, code: int) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send_close(code)
    await together(told_of_end(receiver), told_of_violation(sender, 1002))


async def told_of_end(receiver: Side) -> None:
    """Check that a side gets a valid Close frame, and answer it."""
    await receiver.expect_close(check=may_be_sent)
    receiver.send_close(1000)


async def told_of_violation(sender: Side, *codes: int) -> None:
    """Check that a side's connection ends, by a Close frame with one of these codes if there is one.

    That there is one is only a SHOULD (RFC 6455 §7.1.7).
    """
    with contextlib.suppress(Ended):
        await sender.expect_close(*codes)
    sender.leave()


@GROUP.table(
    level=MUST,
    rule=CLOSING,
    needs=["inspects_frames"],
    rows=[
        *both("one-byte", "A Close frame {} with a payload of one byte is a violation", b"\x03", (1002,)),
        *both(
            "bad-reason",
            "A reason {} that is not UTF-8 is a violation",
            close_body(1000) + b"\xff\xfe",
            (1007, 1002),
        ),
        *both(
            "cut-reason",
            "A reason {} that ends inside a character is a violation",
            close_body(1000) + b"\xe2\x82",
            (1007, 1002),
        ),
    ],
)
async def invalid_close(lab: Lab, direction: str, payload: bytes, codes: tuple[int, ...]) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send(CLOSE, payload)
    await together(told_of_end(receiver), told_of_violation(sender, *codes))


def end_with(side: Side, how: str) -> None:
    """End a TCP connection without a Close frame."""
    if how == "reset":
        side.reset()
    else:
        side.leave()


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §7.1.5, §7.2",
    rows=[
        row(
            f"{how}{place}-{direction}",
            f"If the TCP connection {words} ends with {end}{where}, the other side's ends, too",
            direction,
            how,
            place,
        )
        for how, end in (("fin", "FIN"), ("reset", "RST"))
        for direction, words in DIRECTIONS.items()
        for place, where in (
            ("", ""),
            ("-in-message", " between two fragments"),
            ("-in-frame", " inside a frame"),
        )
    ],
)
async def lost(lab: Lab, direction: str, how: str, place: str) -> None:
    pair = await lab.join()
    await pair.exchange()
    sender, receiver = ends(pair, direction)
    if place == "-in-message":
        sender.send(TEXT, "begun", fin=False)
    elif place == "-in-frame":
        sender.write(sender.frame(BINARY, b"x" * 1000)[:500])
    await sender.writer.drain()
    end_with(sender, how)
    await receiver.expect_close_or_end()  # what was forwarded of the message may come first


@GROUP.table(
    level=FEATURE,
    rule=PASSED_ON,
    needs=["ends_handshake"],
    rows=[
        row(
            f"{how}-tells-{direction}",
            f"If the TCP connection {words} ends with {end}, the other side gets a Close frame with a code",
            direction,
            how,
        )
        for how, end in (("fin", "FIN"), ("reset", "RST"))
        for direction, words in DIRECTIONS.items()
    ],
)
async def told(lab: Lab, direction: str, how: str) -> None:
    pair = await lab.join()
    await pair.exchange()
    sender, receiver = ends(pair, direction)
    end_with(sender, how)
    code = await receiver.expect_close(check=may_be_sent)
    true("a code that says that the other side is gone", code in {1001, 1011, 1012, 1013, 1014}, str(code))


@GROUP.table(
    level=MUST,
    rule=CLOSING,
    rows=both(
        "fin-behind-close", "FIN {} right behind a Close frame does not keep the other side from getting it"
    ),
)
async def fin_behind_close(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send_close(1000, "bye")
    sender.finish()
    await receiver.expect_close(check=may_be_sent)
    receiver.send_close(1000, "bye")
    if receiver.mask is not None:
        await receiver.expect_end()  # the server closes TCP first (RFC 6455 §7.1.1)
    receiver.leave()
    # Whether the side that sent FIN still gets an answer is in `fin_is_answered`.
    await sender.expect_end()


@GROUP.table(
    level=MUST,
    rule=CLOSING,
    rows=both("data-before", "Messages {} right in front of a Close frame arrive before it"),
)
async def data_before(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    lab.leave_after_close(sender)
    sender.write(
        sender.frame(TEXT, "one")
        + sender.frame(BINARY, b"x" * 30_000)
        + sender.frame(CLOSE, close_body(1000))
    )
    await receiver.expect_message(TEXT, "one")
    await receiver.expect_message(BINARY, b"x" * 30_000)
    await receiver.closing_frame()


@GROUP.table(
    level=MUST,
    rule=CLOSING,
    rows=both("data-before-fin", "Messages {} right in front of FIN arrive"),
)
async def data_before_fin(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.write(sender.frame(TEXT, "one") + sender.frame(BINARY, b"x" * 30_000))
    sender.leave()
    await receiver.expect_message(TEXT, "one")
    await receiver.expect_message(BINARY, b"x" * 30_000)


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §1.4, §5.5.1",
    needs=["inspects_frames"],
    rows=both("data-after", "A message {} behind a Close frame is not forwarded"),
)
async def data_after(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    lab.leave_after_close(sender)
    sender.write(sender.frame(CLOSE, close_body(1000)) + sender.frame(TEXT, "too late"))
    await receiver.closing_frame()
    receiver.send_close(1000)
    rest = await receiver.leftover()
    equal("what comes behind the Close frame", rest, b"")


@GROUP.table(
    level=FEATURE,
    rule=PASSED_ON,
    needs=["forwards_closes", "waits_for_close"],
    rows=both(
        "answer-after-messages",
        "After a Close frame {}, the other side may finish what it sends before it answers",
    ),
)
async def finishes(lab: Lab, direction: str) -> None:
    sender, receiver = ends(await lab.join(), direction)
    sender.send_close(1000, "bye")
    await receiver.expect_close(1000)
    receiver.send(TEXT, "one more thing")
    receiver.send_close(1000, "bye")
    await sender.expect_message(TEXT, "one more thing")
    await sender.expect_close(1000)


@GROUP.test(
    "at-once", "If both sides close at the same time, both get a Close frame", level=MUST, rule=CLOSING
)
async def at_once(lab: Lab) -> None:
    pair = await lab.join()
    pair.client.send_close(4001, "client")
    pair.studio.send_close(4002, "studio")
    await pair.client.expect_close(check=may_be_sent)
    await pair.studio.expect_close(check=may_be_sent)


@GROUP.test(
    "same-code-back",
    "The side that closes gets its own code back",
    level=SHOULD,
    rule=CLOSING,
)
async def same_code_back(lab: Lab) -> None:
    pair = await lab.join()
    pair.client.send_close(4321)
    await together(finish(pair.client, 4321), answer(pair.studio))
