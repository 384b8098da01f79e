"""What happens to a session with a dead side: its slots are free at once, and it ends at the pace of evictions."""

from __future__ import annotations

from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

from memmie_gateway.core.outcomes import Side
from memmie_gateway.core.sessions.evictions import Evidence, Mode
from memmie_gateway.core.websocket.continuity import on_leg_dead
from memmie_gateway.core.websocket.keepalive import Advice
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.clock import Clock
from memmie_gateway.net.sessions.evictor import Evictor
from memmie_gateway.net.sessions.session import Session

CHECK_SECONDS: Final = 1.0
"""Minimum time between two health checks of a backend because it takes nothing."""


class DeadSides:
    """Ends sessions of which one side is dead.

    Args:
        evictor: ends them.
        clock: tells the time.
    """

    def __init__(self, evictor: Evictor, clock: Clock) -> None:
        self._evictor = evictor
        self._clock = clock
        self._checked: WeakKeyDictionary[Backend, float] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<DeadSides {self._evictor!r}>"

    def found(self, session: Session, side: Side, advice: Advice) -> None:
        """End a session with a dead side; called at every look.

        A backend that takes nothing may only be busy with one connection. So it is dead only if its health check fails
        as well, which is started now.
        """
        if side is Side.BACKEND and advice is Advice.STUCK and not session.backend.probed.reason:
            self._check(session.backend)
            return
        if side is Side.CLIENT and self._evictor.mode is Mode.ACT:
            session.slots.suspend()
        cause = on_leg_dead(side)
        self._evictor.submit(
            session,
            Evidence.SILENT,
            cause,
            end=partial(session.drop, side, cause),
            holds=partial(session.is_dead, side),
        )

    def _check(self, backend: Backend) -> None:
        now = self._clock.time()
        if now - self._checked.get(backend, -CHECK_SECONDS) >= CHECK_SECONDS:
            self._checked[backend] = now
            backend.check_now()
