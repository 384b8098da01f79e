"""Ejects backends that break the connections of many users, and takes them back after a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from typing import Final, Protocol

from memmie_gateway.core.backends.outlier import SHARE, may_eject
from memmie_gateway.net import clock
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.backends.pool import BackendPool

LOOK_SECONDS: Final = 0.5
"""Seconds between two looks at the evidence, while there is any."""


class Events(Protocol):
    """Receives the events of ejections, for the log."""

    def backend_ejected(self, backend: Backend, share: float, seconds: float) -> None:
        """A backend was ejected, because it broke the connections of this share of its users."""

    def backend_taken_back(self, backend: Backend) -> None:
        """The ejection of a backend is over."""


class Ejector:
    """Ejects backends, which then get no new connections for a while; live sessions stay.

    Args:
        pool: the backends.
        users_on: returns the users with live sessions on a backend.
        events: notified of ejections.
        enabled: whether backends are ejected at all.
    """

    def __init__(
        self,
        pool: BackendPool,
        users_on: Callable[[Backend], Iterable[str]],
        events: Events,
        *,
        enabled: bool,
    ) -> None:
        self._pool = pool
        self._users_on = users_on
        self._events = events
        self._enabled = enabled
        self._ejected: set[Backend] = set()
        self._pauses = 0
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Ejector ejected={len(self._ejected)}>"

    def ended(self, backend: Backend, user_id: str, began: float, *, broken: bool) -> None:
        """Note the end of a session.

        Args:
            backend: its backend.
            user_id: its user.
            began: the loop's time at which it began.
            broken: whether the backend broke it.
        """
        if not self._enabled:
            return
        now = asyncio.get_running_loop().time()
        if broken and (pauses := clock.pauses()) != self._pauses:
            self._pauses = pauses
            for each in self._pool:
                each.outlier.failed(now, now)  # while the gateway did not run, it answered nobody
        if not backend.outlier.ended(user_id, began, now, broken=broken):
            return
        backend.on_doubt()  # the evidence waits for a health check
        if self._timer is None:
            self._look_later()

    def stop(self) -> None:
        """Stop to look at the evidence."""
        if self._timer is not None:
            self._timer.cancel()

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        self._take_back(now)
        active = self._pool.active
        shares = [
            (backend.outlier.share(now, partial(self._users_on, backend)), backend) for backend in active
        ]
        for share, backend in sorted(shares, key=itemgetter(0), reverse=True):
            ejected = sum(each.ejected for each in active)
            if share >= SHARE and may_eject(ejected, len(active)):
                self._ejected.add(backend)
                self._events.backend_ejected(backend, share, backend.outlier.eject(now))
        self._timer = None
        if self._ejected or any(backend.outlier.waiting for backend in active):
            self._look_later()

    def _take_back(self, now: float) -> None:
        for backend in list(self._ejected):
            if backend.outlier.expired(now):
                backend.returned = now
            if not backend.ejected:  # it may also have returned from being unhealthy
                self._ejected.discard(backend)
                self._events.backend_taken_back(backend)
