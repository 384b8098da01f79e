"""Moves users to the backend where they belong, at the pace that `core.sessions.evictions` allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from memmie_gateway.core.backends.balancer import first_choice
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.sessions.evictions import Evidence
from memmie_gateway.core.sessions.rebalance import Moves, Rebalance, Standing, destination, standing
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.clock import loop_time
from memmie_gateway.net.sessions.evictor import Evictor
from memmie_gateway.net.sessions.live import Live
from memmie_gateway.net.sessions.registry import SessionRegistry

TURN_SECONDS: Final = 0.25
"""Seconds between two turns."""

SPLIT_TURNS: Final = 4
"""Number of turns between two looks at the users with several connections."""

MOST_USERS: Final = 200
"""Maximum number of users whose home is computed in one turn."""

CALM_TURNS: Final = 240
"""Number of turns for all users while nothing changes, unless they are too many or too few for this."""


class Rebalancer:
    """Looks at all users again and again, and moves those who belong to another backend.

    Args:
        mode: which users are moved.
        sessions: the live sessions.
        evictor: ends sessions.
        active: returns the backends in use.
        after: seconds for which a backend must be good until its users move back to it.
        slow_start: length of the slow start of a backend in seconds.

    Attributes:
        split: number of users with connections to several backends.
        strays: number of connections to another backend than the home of their user, in the last complete round.
    """

    def __init__(
        self,
        mode: Rebalance,
        sessions: SessionRegistry,
        evictor: Evictor,
        active: Callable[[], Sequence[Backend]],
        *,
        after: float,
        slow_start: float,
    ) -> None:
        self._mode = mode
        self._sessions = sessions
        self._evictor = evictor
        self._active = active
        self._after = after
        self._slow_start = slow_start
        self._moves: Moves[Backend] = Moves()
        self._homes: list[Backend] = []
        self._standings: dict[Backend, Standing] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._turns = 0
        self._left: list[str] = []  # users of this round who were not looked at yet
        self._rounds_in_haste = 2
        self._found = 0  # strays in this round
        self.split = 0
        self.strays = 0

    def __repr__(self) -> str:
        return f"<Rebalancer {self._mode.value} split={self.split} strays={self.strays}>"

    def start(self) -> None:
        """Start to look."""
        self._timer = asyncio.get_running_loop().call_later(TURN_SECONDS, self._turn)

    def stop(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def bound_to(self, user_id: str) -> Backend | None:
        """Return the backend for the next connection of a user who has live ones, or is moving; otherwise None."""
        newest = self._sessions.newest(user_id)
        began = newest.started if newest is not None else 0.0
        to = self._moves.under_way(user_id, began, loop_time)
        if newest is None or to is not None:
            return to
        return newest.backend

    def _turn(self) -> None:
        self.start()
        active = self._active()
        # Ejection and slow start do not matter for the home, so that all gateways agree on it.
        self._homes = [backend for backend in active if not backend.dead] or [*active]
        standings = {backend: self._standing(backend) for backend in active}
        if standings != self._standings:
            self._standings = standings
            self._rounds_in_haste = 2  # this one, and one from the start
        if self._turns % SPLIT_TURNS == 0:
            self.split = sum(map(self._look_at_split_user, self._sessions.users_on_several_backends()))
        self._turns += 1
        self._go_on()

    def _go_on(self) -> None:
        """Go on with the round over all users, or begin a new one."""
        if not self._left:
            self._left = self._sessions.users()
            self._found = 0
        number = MOST_USERS
        if not self._rounds_in_haste:
            number = min(number, 1 + len(self._sessions) // CALM_TURNS)
        self._found += sum(map(self._look_at_user, self._left[-number:]))
        del self._left[-number:]
        if not self._left:
            self.strays = self._found
            haste = self.strays and self._mode is Rebalance.HOME
            self._rounds_in_haste = max(self._rounds_in_haste - 1, 1 if haste else 0)

    def _standing(self, backend: Backend) -> Standing:
        return standing(
            away=backend.dead or backend.ejected,
            good_for=backend.good_for if backend.available else 0.0,
            back_for=backend.back_for,
            after=self._after,
            slow_start=self._slow_start,
        )

    def _standing_of(self, backend: Backend) -> Standing:
        return self._standings.get(backend, Standing.AWAY)  # a backend that was removed has none

    def _look_at_split_user(self, user_id: str) -> int:
        """Move a user with several sessions; return 1 if they are on several backends, otherwise 0."""
        places = [session.backend for session in self._live(user_id)]
        if len(set(places)) < 2:
            return 0
        self._move(user_id, first_choice(self._homes, user_id))
        return 1

    def _look_at_user(self, user_id: str) -> int:
        """Move a user; return the number of the user's sessions that are not on their home."""
        home = first_choice(self._homes, user_id)
        strays = sum(session.backend is not home for session in self._live(user_id))
        if strays and self._mode is Rebalance.HOME:
            self._move(user_id, home)
        return strays

    def _live(self, user_id: str) -> list[Live]:
        return [session for session in self._sessions.of_user(user_id) if session.closing is None]

    def _move(self, user_id: str, home: Backend | None) -> None:
        sessions = self._live(user_id)
        now = asyncio.get_running_loop().time()
        places = [session.backend for session in sessions]
        to = destination(self._mode, places, home, self._standing_of, now - sessions[-1].started)
        if to is None:
            return
        for session in sessions:
            if session.backend is not to and self._moves.may_end(user_id, session.started, to, now):
                self._submit(session, to)

    def _submit(self, session: Live, to: Backend) -> None:
        user_id, loop = session.info.identity.user_id, asyncio.get_running_loop()

        def holds() -> bool:
            return (
                session.between_messages
                and self._standing_of(to) >= Standing.CALM
                and self._moves.may_end(user_id, session.started, to, loop.time())
            )

        def end() -> None:
            self._moves.ended(user_id, to, loop.time())
            session.end(Cause.MOVED)

        self._evictor.submit(session, Evidence.MOVE, Cause.MOVED, end, holds=holds)
