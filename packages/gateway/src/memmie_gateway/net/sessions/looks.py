"""The times of the looks at live sessions, with one timer for all of them: one for each would take 600 bytes of memory."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from memmie_gateway.core.timer_wheel import TimerWheel

FINEST_TICK, COARSEST_TICK = 0.01, 0.25
"""Bounds of the tick, in seconds."""

TICKS: Final = 20
"""Number of ticks until the first look at a session, unless these bounds forbid it."""

MOST_AT_ONCE: Final = 500
"""Maximum number of sessions that are looked at in one turn of the event loop."""


class Looked(Protocol):
    """A session."""

    def look(self) -> None:
        """Look at both sides, and say when to look again."""


class Looks:
    """Looks at sessions when it is time, at most one tick late.

    Args:
        first: seconds from the start of a session to the first look at it; infinity for none.
    """

    def __init__(self, first: float) -> None:
        self._tick = min(max(first / TICKS, FINEST_TICK), COARSEST_TICK)
        self._wheel: TimerWheel[Looked] = TimerWheel(tick=self._tick, slots=256, now=0)
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Looks {len(self._wheel)}>"

    def schedule(self, session: Looked, seconds: float) -> None:
        """Look at a session after so many seconds, in place of an earlier time; never if they are infinite."""
        loop = asyncio.get_running_loop()
        self._wheel.schedule(session, loop.time() + seconds)
        if self._timer is None and len(self._wheel):
            self._timer = loop.call_later(self._tick, self._turn)

    def cancel(self, session: Looked) -> None:
        """Do not look at a session any more."""
        self._wheel.cancel(session)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        due = self._wheel.due(loop.time(), MOST_AT_ONCE)
        # Before the looks, because each may schedule the next one.
        self._timer = loop.call_later(0 if len(due) == MOST_AT_ONCE else self._tick, self._turn)
        for session in due:
            try:
                session.look()
            except Exception as error:  # noqa: BLE001 - a bug with one session must not end the looks at all others
                context = {"message": "a session could not be looked at", "exception": error}
                loop.call_exception_handler(context)
        if not len(self._wheel):
            self._timer.cancel()
            self._timer = None
