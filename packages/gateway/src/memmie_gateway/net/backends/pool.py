"""The set of backends, which may change while the gateway runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from memmie_gateway.core.backends.balancer import Balancer
from memmie_gateway.net.backends.backend import Backend, BackendUrl


class Change(NamedTuple):
    """The changes by an update.

    Attributes:
        joined: backends that were added.
        left: backends that were removed.
    """

    joined: tuple[Backend, ...]
    left: tuple[Backend, ...]


class BackendPool:
    """Holds the active backends and, until their last session ends, those that were removed.

    Args:
        balancer: orders backends for a user.
        make: creates a backend for a URL.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        balancer: Balancer,
        make: Callable[[BackendUrl], Backend],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._balancer = balancer
        self._make = make
        self._clock = clock
        self._active: dict[str, Backend] = {}
        self._retiring: dict[str, Backend] = {}

    def __repr__(self) -> str:
        retiring = sum(backend.connections > 0 for backend in self._retiring.values())
        return f"<BackendPool active={len(self._active)} retiring={retiring}>"

    def __iter__(self) -> Iterator[Backend]:
        """Iterate over the active backends, then over the removed ones that still have connections."""
        self._forget_unused()
        yield from self._active.values()
        yield from self._retiring.values()

    @property
    def active(self) -> tuple[Backend, ...]:
        """The active backends, in the order in which they were added."""
        return tuple(self._active.values())

    def update(self, now: Iterable[BackendUrl]) -> Change:
        """Replace the set of backends.

        A removed backend gets no new connections, and is deleted after its last session has ended. If it is added again before
        that, it keeps its state.

        Args:
            now: the URLs of all active backends.
        """
        self._forget_unused()
        wanted = {where.url: where for where in now}
        left = tuple(backend for url, backend in self._active.items() if url not in wanted)
        for backend in left:
            del self._active[backend.url]
            if backend.connections:
                self._retiring[backend.url] = backend
        joined = tuple(self._join(where) for url, where in wanted.items() if url not in self._active)
        return Change(joined, left)

    def uses(self, backend: Backend) -> bool:
        """Tell whether a backend is in use, and not taken out."""
        return self._active.get(backend.url) is backend

    def any_healthy(self) -> bool:
        """Tell whether an active backend is known to be healthy."""
        return any(backend.healthy for backend in self._active.values())

    def candidates(self, user_id: str, bound_to: Backend | None = None) -> list[Backend]:
        """Return the backends for a user, best first; the list is empty only if there is no backend at all.

        These are the healthy ones; if there are none, those that are not checked yet; then those that are ejected; then
        all. One that is dead is not healthy here, even if connections to it work: other gateways see only that its
        health checks fail, and must choose the same backend.

        Args:
            user_id: the user.
            bound_to: the backend of the user's other connections, which comes first unless it is dead. If it is only
                in doubt, the user would otherwise have connections to two backends because of a short problem.
        """
        active = self._active.values()
        chosen = (
            [backend for backend in active if backend.sound]
            or [backend for backend in active if backend.available and not backend.ejected]
            or [backend for backend in active if backend.available]
            or list(active)  # if every backend looks bad, the evidence is probably wrong
        )
        if bound_to is not None and bound_to not in chosen and self.uses(bound_to) and not bound_to.dead:
            chosen.append(bound_to)
        return self._balancer.prefer(chosen, user_id, bound_to, self._clock())

    def _join(self, where: BackendUrl) -> Backend:
        backend = self._retiring.pop(where.url, None) or self._new(where)
        self._active[where.url] = backend
        return backend

    def _new(self, where: BackendUrl) -> Backend:
        """Make a backend; if only its secrets differ from those of another one, its name gets a number."""
        backend = self._make(where)
        names = {other.name for other in self}
        number = 1
        while backend.name in names:
            number += 1
            backend.name = f"{where.shown}#{number}"
        return backend

    def _forget_unused(self) -> None:
        # Not at once when the last connection has left: a session joins just after its dial was counted off.
        self._retiring = {url: backend for url, backend in self._retiring.items() if backend.connections}
