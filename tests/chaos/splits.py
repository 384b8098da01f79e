"""How long users are split while there is no fault."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tests.chaos.invariants import AGAIN_SECONDS
from tests.chaos.pauses import NO_PAUSES, Pauses
from tests.chaos.records import Violation


class Splits:
    """How long users are split while there is no fault.

    A user is moved only once in a while (spec §3), so the split of a user who was moved lately counts from the time at
    which the next move may begin.

    Args:
        bound: seconds of calm after which a user must not be split any more.
        again: seconds in which a user is moved at most once.
        pauses: the pauses of the run, by which the bound is longer.

    Attributes:
        longest: seconds of the longest split that was judged.
    """

    def __init__(self, bound: float, again: float = AGAIN_SECONDS, pauses: Pauses = NO_PAUSES) -> None:
        self.longest = 0.0
        self._bound = bound
        self._again = again
        self._pauses = pauses
        self._since: dict[str, float] = {}
        self._reported: set[str] = set()

    def see(
        self, now: float, split: Collection[str], moved: Mapping[str, float], *, calm: bool = True
    ) -> list[Violation]:
        """Take what is seen now.

        Args:
            now: the time.
            split: the users who are connected to more than one Studio.
            moved: when each user was last moved.
            calm: whether no fault is under way.
        """
        self._since = {user: self._since.get(user, now) for user in split} if calm else {}
        found = []
        for user, began in self._since.items():
            since = max(began, moved.get(user, float("-inf")) + self._again)
            self.longest = max(self.longest, now - since)
            if user not in self._reported and now - since > self._bound + self._pauses.within(since, now):
                self._reported.add(user)
                found.append(Violation(f"{user}: split for {now - since:.1f} s without a fault", now))
        return found
