"""Scenarios that break something and wait for the users to come back."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from locust import User

from loadtests.common.run import GATEWAY
from loadtests.runs.recorder import ANSWERED, Recorder
from loadtests.scenarios.director import Director
from loadtests.scenarios.options import add_every
from loadtests.scenarios.scenario import AddArgument, Scenario
from loadtests.users.returning import ReturningUser
from loadtests.users.user import WAYS

CONNECTING: Final = tuple(f"{operation} {WAYS[GATEWAY]}" for operation in ("connect", "reconnect"))
"""Operations that a gateway refuses with a status, or by hanging up."""

FIGURES: Final = ("were away", "back after", "longest away", "refused", "answered", "lost")
"""What `tell_returns` sets."""


class Comeback(Scenario, ABC):
    """Users that come back."""

    seconds = 30
    part = 3

    def add_options(self, add: AddArgument) -> None:
        """Add the pace."""
        add_every(add)

    def totals(self, users: Sequence[User]) -> Mapping[str, float]:
        """Return how many are served, were away, and have a message without a reply."""
        ours = [user for user in users if isinstance(user, ReturningUser)]
        return {
            "served": sum(user.served for user in ours),
            "were away": sum(len(user.away) for user in ours),
            "lost": sum(user.unanswered for user in ours),
        }

    def most(self, users: Sequence[User]) -> Mapping[str, float]:
        """Return the longest absence, and how long after the marked moment the last user was back."""
        away = [user for user in users if isinstance(user, ReturningUser) and user.away]
        return {
            "longest away": max((seconds for user in away for seconds in user.away), default=0.0),
            "back after": max((user.back_at - user.marked_at for user in away), default=0.0),
        }

    def connect(self, director: Director) -> None:
        """Wait until every user was served, and let the crowd settle."""
        director.ramp()
        director.until(_all_served(director), "all served")
        director.event(f"{director.options.num_users} connections are open")
        director.settle()

    def wait_for_all(self, director: Director) -> None:
        """Wait until every user is served again."""
        director.until(_all_served(director), "all back")
        director.event("all are back")

    def tell_returns(self, director: Director) -> None:
        """Set the figures of the users that were away, and of what was lost."""
        counted = director.counted()
        director.figure("were away", counted.totals["were away"])
        director.figure("back after", counted.most["back after"], "s")
        director.figure("longest away", counted.most["longest away"], "s")
        director.figure("refused", sum(failure.count for failure in counted.failures(*CONNECTING)))
        director.figure("answered", counted.totals[ANSWERED])
        director.figure("lost", counted.totals["lost"])


def _all_served(director: Director) -> Callable[[Recorder], bool]:
    return lambda counted: counted.totals["served"] >= director.options.num_users
