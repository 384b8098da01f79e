"""What scenarios have in common that break something and wait for the users to come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loadtests.runs.recorder import GATEWAY, Recorder
from loadtests.users.returning import ReturningUser
from loadtests.users.swarm import Swarm
from loadtests.users.user import WAYS

CONNECTING: Final = tuple(f"{operation} {WAYS[GATEWAY]}" for operation in ("connect", "reconnect"))
"""Operations that a gateway refuses in so many words, or by hanging up."""

FIGURES: Final = ("were away", "back after", "longest away", "refused", "answered", "lost")
"""What `tell_returns` sets."""


def ramp_returning(swarm: Swarm, count: int) -> list[ReturningUser]:
    """Let so many users come, and wait until each was served."""
    users = swarm.ramp(ReturningUser, count)
    swarm.until(lambda: all(user.served for user in users), "all served")
    swarm.recorder.event(f"{count} connections are open")
    swarm.settle()
    return users


def tell_returns(recorder: Recorder, users: Sequence[ReturningUser], *, since: float) -> None:
    """Set the figures of who was away, and of what was lost.

    Args:
        recorder: gets them.
        users: everyone, after their end.
        since: when it was broken, in `time.monotonic` seconds.
    """
    away = [seconds for user in users for seconds in user.away]
    recorder.unanswered = sum(user.unanswered for user in users)
    recorder.figure("were away", len(away))
    recorder.figure(
        "back after", max((user.back_at - since for user in users if user.away), default=0.0), "s"
    )
    recorder.figure("longest away", max(away, default=0.0), "s")
    recorder.figure("refused", recorder.failed_to(*CONNECTING))
    recorder.figure("answered", recorder.answered)
    recorder.figure("lost", recorder.unanswered)
