"""The cause and the words for each violation of the WebSocket protocol."""

from __future__ import annotations

from typing import Final

from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.websocket.frames import Violation

_TOO_BIG: Final = (Cause.CLIENT_TOO_BIG, Cause.BACKEND_TOO_BIG)
_BAD_TEXT: Final = (Cause.CLIENT_BAD_TEXT, Cause.BACKEND_BAD_TEXT)
_VIOLATION: Final = (Cause.CLIENT_VIOLATION, Cause.BACKEND_VIOLATION)

_WORDS: Final[dict[Violation, str]] = {
    Violation.RESERVED_OPCODE: "reserved opcode",
    Violation.RESERVED_BITS: "reserved bits set",
    Violation.FRAGMENTED_CONTROL: "fragmented control frame",
    Violation.LONG_CONTROL: "control frame of more than 125 bytes",
    Violation.STRAY_CONTINUATION: "continuation of nothing",
    Violation.INTERRUPTED_MESSAGE: "new message inside a fragmented one",
    Violation.WRONG_MASKING: "wrong masking",
    Violation.BAD_LENGTH: "bad payload length",
    Violation.BAD_CLOSE: "bad close frame",
    Violation.BAD_CLOSE_REASON: "close reason is not UTF-8",
    Violation.TOO_BIG: "message too big",
}


def cause_of_violation(side: Side, violation: Violation) -> tuple[Cause, str]:
    """Return the cause, and the words for the log and the Close frame, after a violation by `side`."""
    pair = {Violation.TOO_BIG: _TOO_BIG, Violation.BAD_CLOSE_REASON: _BAD_TEXT}.get(violation, _VIOLATION)
    cause = pair[side is Side.BACKEND]
    return cause, f"{cause.ending.words}: {_WORDS[violation]}" if pair is _VIOLATION else cause.ending.words
