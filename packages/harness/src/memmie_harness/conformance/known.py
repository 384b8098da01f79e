"""Failures that a profile knows: why they are there, and whether a run is as the profile says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from memmie_harness.conformance.model import Outcome, Report, Result
from memmie_harness.conformance.profile import Profile


def with_note(profile: Profile, result: Result) -> Result:
    """Return a failed result with what the profile knows about it."""
    why = profile.known.get(result.test.id)
    if result.outcome is not Outcome.FAILED or why is None:
        return result
    note = f"{why} (found with {profile.known_version})"
    return replace(result, evidence=replace(result.evidence, note=note))


def unexpected(profile: Profile, results: Iterable[Result]) -> list[str]:
    """Return what a run says that its profile does not, in one line for each test.

    This is what failed and is not known, and what is known and did not fail.
    """
    lines = []
    for result in results:
        test, failed = result.test.id, result.outcome is Outcome.FAILED
        if failed and test not in profile.known:
            lines.append(f"{test} failed, and the profile does not know why")
        elif not failed and test in profile.known:
            lines.append(f"{test} is {result.outcome}, but the profile says that it fails")
    return lines


def summary(profile: Profile, report: Report) -> list[str]:
    """Return what to print below the table of a run; nothing for a profile that knows no failure."""
    if not profile.known:
        return []
    known = sum(bool(result.evidence.note) for result in report.results)
    lines = [f"{known} failed as the profile says, which knows why ({profile.known_version})"]
    return lines + [f"unexpected: {line}" for line in unexpected(profile, report.results)]
