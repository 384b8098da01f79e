"""Backends without a connection, for tests of what is decided about them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from memmie_gateway.core.backends.balancer import Balancer, C, Strategy
from memmie_gateway.core.backends.health import HealthTracker
from memmie_gateway.net.backends.backend import Backend, BackendUrl
from memmie_gateway.net.backends.pool import BackendPool


class AsGiven(Balancer):
    """Keeps the order, but for the backend that the user is bound to."""

    def __init__(self) -> None:
        super().__init__(Strategy.STICKY, random.SystemRandom())

    def prefer(
        self, available: Sequence[C], user_id: str, bound_to: C | None = None, now: float = 0.0
    ) -> list[C]:
        del user_id, now
        return sorted(available, key=lambda backend: backend is not bound_to)


def url(name: str) -> BackendUrl:
    """Return the URL of a backend of this name."""
    return BackendUrl.parse(f"ws://{name}/ws")


def make(where: BackendUrl) -> Backend:
    """Make a backend of which nothing is known, and of which one piece of evidence decides."""
    return Backend(where, HealthTracker(rise=1, fall=1))


def pool_of(*names: str) -> tuple[BackendPool, list[Backend]]:
    """Make a pool, and return it with its backends."""
    pool = BackendPool(AsGiven(), make)
    pool.update(map(url, names))
    return pool, list(pool.active)


def names_of(backends: Iterable[Backend]) -> list[str]:
    """Return the names of backends."""
    return [backend.where.host for backend in backends]
