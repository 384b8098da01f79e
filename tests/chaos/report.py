"""What a chaos run prints: what happens while it runs, and the verdicts with every violation at the end."""

from __future__ import annotations

import time
from typing import Final

from tests.chaos.course import Course
from tests.chaos.people import People
from tests.chaos.records import Spell, Violation
from tests.chaos.stage import Stage

SHOWN: Final = 5
"""How many violations of one kind are printed."""

BUSY: Final = 0.05
"""A run that paused for more than this part of its time says that the machine was busy."""


class Report:
    """Prints with the seconds since the run began, and with names instead of addresses.

    Args:
        stage: the names and addresses.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._began = time.monotonic()

    def begin(self) -> None:
        """Count the seconds from now."""
        self._began = time.monotonic()

    def say(self, words: str) -> None:
        """Print what happens now."""
        print(f"{time.monotonic() - self._began:6.1f} s  {words}", flush=True)

    def verdicts(self, course: Course, people: People) -> bool:
        """Print the verdicts; return whether all hold."""
        seconds = time.monotonic() - self._began
        self._figures(course, people, seconds)
        for name, found in course.violations.items():
            print(f"{name:<10} {'holds' if not found else f'VIOLATED: {len(found)}'}")
            self._print(found, course.spells)
        if course.unjudged:
            print(f"not judged, because the run itself paused then: {len(course.unjudged)}")
            self._print(course.unjudged, course.spells)
        if course.pauses.total > BUSY * seconds:
            print("the machine was busy: limits in seconds were longer by the pauses of the run")
        return not any(course.violations.values())

    @staticmethod
    def _figures(course: Course, people: People, seconds: float) -> None:
        lives = [life for person in people for life in person.client.lives]
        watches = [watch for person in people for watch in person.witness.watches]
        calls = [call for caller in people.callers for call in caller.calls]
        print(
            f"\n{sum(len(life.sent) for life in lives)} messages sent, {people.acknowledged} acknowledged, "
            f"{sum(len(watch.sequence) for watch in watches)} events witnessed; {len(lives)} connections of clients, "
            f"{len(watches)} of witnesses; {len(calls)} HTTP requests, {sum(call.status >= 300 for call in calls)} of them "
            f"refused; longest split {course.splits.longest:.1f} s\n"
            f"the run itself paused for {course.pauses.total:.1f} of {seconds:.0f} s, for {course.pauses.longest:.2f} s at "
            "most\n"
        )

    def _print(self, found: list[Violation], spells: list[Spell]) -> None:
        for violation in found[:SHOWN]:
            print(f"           {self._in_words(violation, spells)}")
        if len(found) > SHOWN:
            print(f"           and {len(found) - SHOWN} more")

    def _in_words(self, violation: Violation, spells: list[Spell]) -> str:
        words = violation.words
        for gateway in self._stage.gateways:
            words = words.replace(gateway.ws_url, gateway.name)
        if violation.at is None:
            return words
        earlier = [spell for spell in spells if spell.began <= violation.at]
        last = f", {self._when(earlier[-1])}" if earlier else ", before the first fault"
        return f"{words}, at {violation.at - self._began:.1f} s{last}"

    def _when(self, spell: Spell) -> str:
        return f"the last fault was {spell.name} ({spell.began - self._began:.1f} to {spell.ended - self._began:.1f} s)"
