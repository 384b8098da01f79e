"""The signs and words for outcomes and changes, in every form of the matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from memmie_harness.conformance.matrix.comparison import Kind
from memmie_harness.conformance.model import Outcome

SIGNS: Final[Mapping[Outcome, str]] = {
    Outcome.FAILED: "✗",
    Outcome.ERROR: "!",
    Outcome.PASSED: "✓",
    Outcome.NOT_OFFERED: "–",  # noqa: RUF001 - a dash is a usual sign for nothing
}
"""A sign for each outcome; what needs attention comes first."""

WORDS: Final[Mapping[Outcome, str]] = {
    Outcome.FAILED: "failed",
    Outcome.ERROR: "not run",
    Outcome.PASSED: "passed",
    Outcome.NOT_OFFERED: "not offered",
}

MEANINGS: Final[Mapping[Outcome, str]] = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "failed: it breaks a rule, or a promise of its profile",
    Outcome.ERROR: "the test could not be run",
    Outcome.NOT_OFFERED: "not offered: the gateway does not claim to do this",
}

TURNS: Final[Mapping[Kind, str]] = {
    Kind.WORSE: "▼",
    Kind.BETTER: "▲",
    Kind.CHANGED: "≠",
    Kind.ADDED: "+",
    Kind.REMOVED: "−",  # noqa: RUF001 - the minus that belongs to the plus
}
"""A sign for each kind of change; what needs attention comes first."""
