"""The order and pace in which sessions are closed when the gateway shuts down."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def schedule(sessions: Sequence[T], seconds: float, rng: random.Random) -> list[tuple[float, T]]:
    """Spread the ends of `sessions` evenly over `seconds`, in random order.

    Clients reconnect immediately when they are closed. If all were closed together, they would overload the remaining
    gateways. The order is random so that the users of one backend, or the oldest sessions, are not closed in one block.

    Returns:
        Delays in seconds from now, ascending, the first of them 0, each with its session.
    """
    order = rng.sample(sessions, len(sessions))
    step = seconds / max(1, len(order))
    return [(index * step, session) for index, session in enumerate(order)]
