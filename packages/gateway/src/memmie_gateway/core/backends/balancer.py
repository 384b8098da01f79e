"""Load balancing: orders the available backends by preference for a user (spec §7, §8).

The backend of the user's live connections comes first, because the user's events exist only there. The strategy orders
the others. The result contains every available backend, so that after a failed dial the next one can be tried.
"""

from __future__ import annotations

import enum
import hashlib
import math
import random
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar


class Candidate(Protocol):
    """The properties of a backend that the balancer uses."""

    @property
    def url(self) -> str:
        """The WebSocket URL, which identifies the backend."""

    @property
    def connections(self) -> int:
        """The number of live connections to the backend."""

    @property
    def returned(self) -> float:
        """The time at which the backend was last taken back into use, in seconds; `NEVER` if it was never away."""


C = TypeVar("C", bound=Candidate)

NEVER: Final = -math.inf
"""The time of what has not happened."""

LEAST_WEIGHT: Final = 0.1
"""The weight of a backend that has just returned, compared with 1 for the others."""


class Strategy(enum.Enum):
    """How to order backends for a user without live connections."""

    STICKY = "sticky"
    ROUND_ROBIN = "round_robin"
    LEAST_CONNECTIONS = "least_connections"


class Balancer:
    """Orders backends by preference.

    Args:
        strategy: how to order them.
        rng: breaks ties between equally loaded backends.
        slow_start: seconds in which the weight of a returned backend rises to that of the others; 0 for at once. Only
            `LEAST_CONNECTIONS` has weights. Without this, a returned backend would get every new connection until it
            has as many as the others.
    """

    def __init__(self, strategy: Strategy, rng: random.Random, slow_start: float = 0.0) -> None:
        self._strategy = strategy
        self._rng = rng
        self._slow_start = slow_start
        self._turn = 0

    def prefer(
        self, available: Sequence[C], user_id: str, bound_to: C | None = None, now: float = 0.0
    ) -> list[C]:
        """Return all of `available`, best first.

        Args:
            available: the backends that may be used now.
            user_id: the user who connects.
            bound_to: the backend of the user's live connections, if there are any.
            now: the time in seconds, for the slow start.
        """
        if len(available) < 2:
            return list(available)
        if self._strategy is Strategy.STICKY:
            order = sorted(available, key=lambda c: rendezvous_score(user_id, c.url), reverse=True)
        elif self._strategy is Strategy.ROUND_ROBIN:
            start = self._turn % len(available)
            self._turn += 1
            order = [*available[start:], *available[:start]]
        else:
            order = sorted(available, key=lambda c: (self._load(c, now), self._rng.random()))
        if bound_to in order:
            order.remove(bound_to)
            order.insert(0, bound_to)
        return order

    def _load(self, candidate: Candidate, now: float) -> float:
        """Return the load of a backend if it got one more connection, relative to its weight."""
        return (candidate.connections + 1) / weight(candidate.returned, now, self._slow_start)


def weight(returned: float, now: float, slow_start: float) -> float:
    """Return the weight of a backend, from `LEAST_WEIGHT` to 1.

    Args:
        returned: the time at which it was taken back into use, in seconds.
        now: the time in seconds.
        slow_start: seconds in which its weight rises to 1.
    """
    away = now - returned
    return max(LEAST_WEIGHT, away / slow_start) if away < slow_start else 1.0


def first_choice(candidates: Sequence[C], user_id: str) -> C | None:
    """Return the backend with the highest score for a user; None if there is no candidate."""
    if len(candidates) == 1:
        return candidates[0]
    key = _key(user_id)
    return max(candidates, key=lambda c: _score(key, c.url), default=None)


def rendezvous_score(user_id: str, url: str) -> bytes:
    """Return the score of a backend for a user; the highest score wins (highest random weight hashing).

    If a backend is removed, only its own users move. If one is added, it takes an equal share of users from each other
    backend.
    """
    return _score(_key(user_id), url)


def _key(user_id: str) -> bytes:
    return hashlib.sha256(user_id.encode()).digest()


def _score(key: bytes, url: str) -> bytes:
    return hashlib.blake2b(url.encode(), key=key, digest_size=8).digest()
