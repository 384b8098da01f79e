"""Every violation of the protocol has a cause and words."""

from __future__ import annotations

import pytest

from memmie_gateway.core.outcomes import Blame, Cause, Side
from memmie_gateway.core.websocket import violations
from memmie_gateway.core.websocket.control_frames import MAX_CONTROL_PAYLOAD
from memmie_gateway.core.websocket.frames import Violation
from memmie_gateway.core.websocket.violations import cause_of_violation


@pytest.mark.parametrize("violation", Violation)
@pytest.mark.parametrize("side", Side)
def test_a_violation_has_a_cause_that_blames_its_side(side: Side, violation: Violation) -> None:
    by_kind = {
        Violation.TOO_BIG: (Cause.CLIENT_TOO_BIG, Cause.BACKEND_TOO_BIG),
        Violation.BAD_CLOSE_REASON: (Cause.CLIENT_BAD_TEXT, Cause.BACKEND_BAD_TEXT),
    }
    pair = by_kind.get(violation, (Cause.CLIENT_VIOLATION, Cause.BACKEND_VIOLATION))
    cause, words = cause_of_violation(side, violation)
    assert pair[list(Side).index(side)] is cause
    assert Blame(side.value) is cause.ending.by
    assert words.startswith(cause.ending.words)
    assert len(words) <= MAX_CONTROL_PAYLOAD - 2


@pytest.mark.parametrize(
    ("side", "violation", "words"),
    [
        (Side.CLIENT, Violation.RESERVED_BITS, "the client broke the WebSocket protocol: reserved bits set"),
        (Side.BACKEND, Violation.LONG_CONTROL, "Studio broke the WebSocket protocol: control frame of more than 125 bytes"),
        (Side.CLIENT, Violation.TOO_BIG, "message too big"),
        (Side.BACKEND, Violation.BAD_CLOSE_REASON, "Studio's close reason is not UTF-8"),
    ],
)  # fmt: skip
def test_words_of_a_violation(side: Side, violation: Violation, words: str) -> None:
    assert words == cause_of_violation(side, violation)[1]


def test_every_violation_has_words_of_its_own() -> None:
    assert set(Violation) == set(violations._WORDS)
    assert len(violations._WORDS) == len(set(violations._WORDS.values()))
