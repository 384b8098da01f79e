"""Load balancing: orders the available backends by preference for a user (spec §7, §8).

The backend of the user's live connections comes first, because the user's events exist only there. The strategy orders
the others. The result contains every available backend, so that after a failed dial the next one can be tried.
"""

from __future__ import annotations

import enum
import hashlib
import random
from collections.abc import Sequence
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """The properties of a backend that the balancer uses."""

    @property
    def url(self) -> str:
        """The WebSocket URL, which identifies the backend."""

    @property
    def connections(self) -> int:
        """The number of live connections to the backend."""


C = TypeVar("C", bound=Candidate)


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
    """

    def __init__(self, strategy: Strategy, rng: random.Random) -> None:
        self._strategy = strategy
        self._rng = rng
        self._turn = 0

    def prefer(self, available: Sequence[C], user_id: str, bound_to: C | None = None) -> list[C]:
        """Return all of `available`, best first.

        Args:
            available: the backends that may be used now.
            user_id: the user who connects.
            bound_to: the backend of the user's live connections, if there are any.
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
            order = sorted(available, key=lambda c: (c.connections, self._rng.random()))
        if bound_to in order:
            order.remove(bound_to)
            order.insert(0, bound_to)
        return order


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
