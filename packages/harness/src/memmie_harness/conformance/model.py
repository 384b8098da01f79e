"""What a conformance test is, and what a run of it results in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

MAX_TEXT: Final = 20_000
"""The most characters of what was expected, and of what was seen, in a report."""

MAX_LINES: Final = 200
"""The most lines of an exchange in a report."""

MAX_LINE: Final = 10_000
"""The most characters of such a line."""

MAX_NAME: Final = 100
"""The most characters of the name of a target, and of a program with a version."""

MAX_VERSION: Final = 300
"""The most characters of a version in a report."""

MAX_NOTE: Final = 2_000
"""The most characters of a note in a report."""


class Level(StrEnum):
    """How binding a rule is."""

    MUST = "must"  # an RFC says MUST, or connections break without it
    SHOULD = "should"  # an RFC says SHOULD
    FEATURE = "feature"  # a gateway need not have it, but one that says it does must do it this way


class Outcome(StrEnum):
    """The result of one test."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_OFFERED = "not_offered"  # the profile does not offer what the test needs
    ERROR = "error"  # the test could not be run: the gateway did not start, or the kit has a defect


class Violation(Exception):  # noqa: N818 - it is a verdict about the gateway, not an error of this program
    """The gateway broke a rule.

    Args:
        expected: what the rule asks for, in words or bytes.
        seen: what happened instead.
    """

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected {expected}; seen: {seen}")
        self.expected = expected
        self.seen = seen


class Ended(Violation):
    """The connection ended, or was reset, before what a test waits for."""


class Silence(Violation):
    """What a test waits for did not come in time."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a test has its outcome; every byte is escaped, and tokens are replaced by their digests.

    Attributes:
        exchange: what each peer of the kit sent and got, in order.
        expected: what the rule asks for; of a passed test, nothing.
        seen: what happened instead.
        note: why the test has this outcome, by somebody who looked into it; empty if nobody did.
    """

    exchange: Sequence[str] = ()
    expected: str = ""
    seen: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ConformanceTest:
    """One test.

    Attributes:
        id: `group/short-name`; it is stable, because reports of different versions are compared by it.
        title: one sentence about what a gateway does that passes.
        rule: the RFC and its section, or the paragraph of the spec.
        level: how binding the rule is.
        needs: what a profile must offer (names of `offers.OFFERS`); otherwise the test is `not_offered`.
        body: the coroutine function; it gets a `Lab`, and raises `Violation`.
        own_gateway: the test needs a gateway that no other test uses, for example because it stops it.
        seconds: how long the test may take.
    """

    id: str
    title: str
    rule: str
    level: Level
    needs: frozenset[str]
    body: Callable[[Any], Awaitable[None]]
    own_gateway: bool = False
    seconds: float = 30.0

    @property
    def group(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Result:
    """A test and its outcome."""

    test: ConformanceTest
    outcome: Outcome
    evidence: Evidence = field(default_factory=Evidence)
    seconds: float = 0.0

    def as_json(self) -> dict[str, object]:
        """Return the row of this test in the JSON report, without what is longer than a report may have."""
        evidence = self.evidence
        return {
            "id": self.test.id,
            "title": self.test.title,
            "level": str(self.test.level),
            "rule": self.test.rule,
            "outcome": str(self.outcome),
            "seconds": round(self.seconds, 3),
            "evidence": {
                "exchange": [_bounded(line, MAX_LINE) for line in evidence.exchange[:MAX_LINES]],
                "expected": _bounded(evidence.expected, MAX_TEXT),
                "seen": _bounded(evidence.seen, MAX_TEXT),
                **({"note": _bounded(evidence.note, MAX_NOTE)} if evidence.note else {}),
            },
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one run against one target.

    Attributes:
        target: the name of the profile.
        versions: versions by name: of the kit, and of the target if its profile says how to ask for it.
        results: one for each test, in the order of the groups.
    """

    target: str
    versions: dict[str, str]
    results: Sequence[Result]

    def count(self, outcome: Outcome) -> int:
        """Return how many tests have this outcome."""
        return sum(result.outcome is outcome for result in self.results)

    @property
    def ran(self) -> bool:
        """Whether at least one test is offered, so that the report says something about the target."""
        return self.count(Outcome.NOT_OFFERED) < len(self.results)

    @property
    def conforms(self) -> bool:
        """Whether no test failed or could not be run."""
        return not (self.count(Outcome.FAILED) or self.count(Outcome.ERROR))

    def as_json(self) -> dict[str, object]:
        """Return the JSON report."""
        return {
            "target": self.target,
            "versions": {name: _bounded(version, MAX_VERSION) for name, version in self.versions.items()},
            "tests": [result.as_json() for result in self.results],
        }


def _bounded(text: str, most: int) -> str:
    """Return the beginning of a text, in which half a character (a surrogate) is escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:most]
