"""Two runs compared: which tests got worse, and which got better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from memmie_harness.conformance.matrix.saved import ReportError, SavedReport, SavedTest
from memmie_harness.conformance.model import Outcome


class Kind(StrEnum):
    """What happened to the outcome of a test."""

    WORSE = "worse"  # it passed and no longer does, or a gateway now offers it and does not do it
    BETTER = "better"  # it passes, and did not before
    CHANGED = "changed"  # it did not pass, for another reason than now
    ADDED = "added"  # only the new run has the test
    REMOVED = "removed"  # only the old run has the test


@dataclass(frozen=True, slots=True)
class Change:
    """A test with another outcome than before; at least one of the two tests is there."""

    kind: Kind
    old: SavedTest | None
    new: SavedTest | None

    @property
    def test(self) -> SavedTest:
        """The test, if possible as it is in the new run."""
        test = self.new or self.old
        assert test is not None
        return test


@dataclass(frozen=True, slots=True)
class Comparison:
    """The old and the new report of a target.

    Attributes:
        old: the old report.
        new: the new report.
        changes: the tests whose outcome changed, in the order of the new report.
    """

    old: SavedReport
    new: SavedReport
    changes: Sequence[Change]

    def of(self, kind: Kind) -> list[Change]:
        """Return the changes of this kind."""
        return [change for change in self.changes if change.kind is kind]

    @property
    def title(self) -> str:
        """The name of the target; both names if they differ."""
        old, new = self.old.target, self.new.target
        return new if old == new else f"{old} → {new}"


@dataclass(frozen=True, slots=True)
class Runs:
    """Two runs with one or several targets.

    Attributes:
        comparisons: one for each target that both runs have.
        only_old: the targets that only the old run has.
        only_new: the targets that only the new run has.
    """

    comparisons: Sequence[Comparison]
    only_old: Sequence[str] = ()
    only_new: Sequence[str] = ()

    @property
    def worse(self) -> int:
        """How many tests got worse."""
        return sum(len(each.of(Kind.WORSE)) for each in self.comparisons)


def compare_runs(old: Sequence[SavedReport], new: Sequence[SavedReport]) -> Runs:
    """Compare two runs target by target; if each run has one target, their names may differ.

    Raises:
        ReportError: no target is in both runs, or a run has two reports of the same target.
    """
    if len(old) == len(new) == 1:
        return Runs([compare(old[0], new[0])])
    before, after = _by_target(old), _by_target(new)
    both = [target for target in after if target in before]
    if not both:
        raise ReportError(
            f"the two runs have no target in common: {', '.join(before)} and {', '.join(after)}"
        )
    return Runs(
        [compare(before[target], after[target]) for target in both],
        [target for target in before if target not in after],
        [target for target in after if target not in before],
    )


def _by_target(reports: Sequence[SavedReport]) -> dict[str, SavedReport]:
    found: dict[str, SavedReport] = {}
    for report in reports:
        if report.target in found:
            raise ReportError(f"a run has two reports of the target {report.target}")
        found[report.target] = report
    return found


def compare(old: SavedReport, new: SavedReport) -> Comparison:
    """Compare two reports test by test."""
    before = {test.id: test for test in old.tests}
    after = {test.id: test for test in new.tests}
    changes = [
        Change(kind, before.get(test.id), test)
        for test in new.tests
        if (kind := _kind(before.get(test.id), test)) is not None
    ]
    removed = [Change(Kind.REMOVED, test, None) for test in old.tests if test.id not in after]
    return Comparison(old, new, [*changes, *removed])


def _kind(old: SavedTest | None, new: SavedTest) -> Kind | None:
    if old is None:
        return Kind.ADDED
    if old.outcome is new.outcome:
        return None
    if new.outcome is Outcome.PASSED:
        return Kind.BETTER
    if old.outcome is Outcome.PASSED or old.outcome is Outcome.NOT_OFFERED:
        return Kind.WORSE
    return Kind.CHANGED
