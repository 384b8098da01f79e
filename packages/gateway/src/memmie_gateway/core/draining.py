"""Who is closed when, once the gateway shuts down."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def schedule(sessions: Sequence[T], seconds: float, rng: random.Random) -> list[tuple[float, T]]:
    """Spread the ends of `sessions` evenly over `seconds`, in random order.

    Clients told to go reconnect at once, all of them to what is left of the fleet: spread, they are a trickle
    and not a storm. The order is random so that the users of one Studio, or the oldest, do not go in one block.

    Returns:
        Delays in seconds from now, ascending, the first of them 0, each with its session.
    """
    order = rng.sample(sessions, len(sessions))
    step = seconds / max(1, len(order))
    return [(index * step, session) for index, session in enumerate(order)]
