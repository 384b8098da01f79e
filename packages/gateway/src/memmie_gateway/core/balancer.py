"""Which Studio a connection goes to: an order of preference over those available (spec §7, §8).

A user's live connections decide first, as the user's events live in that Studio; then the strategy does. The
order is complete, so that a failed dial goes on to the next.
"""

from __future__ import annotations

import enum
import hashlib
import random
from collections.abc import Sequence
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """What the choice needs to know of a Studio."""

    @property
    def url(self) -> str:
        """Its WebSocket URL, which also names it."""

    @property
    def connections(self) -> int:
        """How many live connections go to it."""


C = TypeVar("C", bound=Candidate)


class Strategy(enum.Enum):
    """What decides where nothing binds a user to a Studio."""

    STICKY = "sticky"
    ROUND_ROBIN = "round_robin"
    LEAST_CONNECTIONS = "least_connections"


class Balancer:
    """Orders Studios by preference.

    Args:
        strategy: what decides.
        rng: breaks ties between equally loaded Studios.
    """

    def __init__(self, strategy: Strategy, rng: random.Random) -> None:
        self._strategy = strategy
        self._rng = rng
        self._turn = 0

    def prefer(self, available: Sequence[C], user_id: str, bound_to: C | None = None) -> list[C]:
        """Return all of `available`, best first.

        Args:
            available: the Studios that may be used now.
            user_id: whose connection it is.
            bound_to: the Studio that the user's live connections are on, if any.
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


def rendezvous_score(user_id: str, url: str) -> bytes:
    """Return how well a user and a Studio fit: the highest score wins (highest random weight hashing).

    A Studio that leaves moves only its own users, one that joins takes a fair share from each.
    """
    return hashlib.blake2b(
        url.encode(), key=hashlib.sha256(user_id.encode()).digest(), digest_size=8
    ).digest()
