"""Replacement: at the limit of a user, a new connection takes the place of one whose client seems to be dead.

A phone that has lost its network connects again at once, while its old connections still count. The old connection ends
only after a backend has accepted the new one.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.sessions.evictions import Evidence, Mode
from memmie_gateway.net.sessions.evictor import Evictor
from memmie_gateway.net.sessions.live import Live
from memmie_gateway.net.sessions.registry import SessionRegistry

UNANSWERED_SECONDS: Final = 5.0
"""A connection can be replaced if its client has not answered a ping for this time."""


class Replacements:
    """Finds connections that can be replaced, at most one of a user at a time.

    Args:
        sessions: the live sessions.
        evictor: ends the replaced ones.
    """

    def __init__(self, sessions: SessionRegistry, evictor: Evictor) -> None:
        self._sessions = sessions
        self._evictor = evictor
        self._under_way: set[str] = set()

    def __repr__(self) -> str:
        return f"<Replacements under_way={len(self._under_way)}>"

    def begin(self, user_id: str) -> Replacement | None:
        """Begin a replacement for a user; return None if there is nothing to replace, or another one is under way."""
        if self._evictor.mode is not Mode.ACT or user_id in self._under_way:
            return None
        old = self._longest_unanswered(user_id)
        if old is None:
            return None
        self._under_way.add(user_id)
        return Replacement(self, user_id, old)

    def done(self, user_id: str) -> None:
        """Note that the replacement of a user is over."""
        self._under_way.discard(user_id)

    def evict_for(self, user_id: str) -> bool:
        """End the connection that is to be replaced now; return False if there is none any more."""
        old = self._longest_unanswered(user_id)
        if old is None:
            return False
        old.slots.release()
        end = partial(old.drop, Side.CLIENT, Cause.REPLACED)
        self._evictor.submit(old, Evidence.REPLACED, Cause.REPLACED, end=end)
        return True

    def _longest_unanswered(self, user_id: str) -> Live | None:
        found, longest = None, UNANSWERED_SECONDS
        for session in self._sessions.of_user(user_id):
            if session.slots.held and (seconds := session.unanswered()) >= longest:
                found, longest = session, seconds
        return found


class Replacement:
    """A replacement under way, from the admission of the new connection until a backend has accepted or refused it.

    Args:
        owner: the replacements.
        user_id: the user.
        old: the connection that can be replaced.
    """

    __slots__ = ("_old", "_owner", "_user_id")

    def __init__(self, owner: Replacements, user_id: str, old: Live) -> None:
        self._owner: Replacements | None = owner
        self._user_id = user_id
        self._old: Live | None = old

    def carry_out(self) -> bool:
        """End the old connection, if it has not ended meanwhile; return False if it is alive again.

        If there is another connection that can be replaced, this one ends instead.
        """
        owner, old = self._owner, self._old
        self.release()
        return owner is None or old is None or not old.slots.held or owner.evict_for(self._user_id)

    def release(self) -> None:
        """End no connection, unless `carry_out` was called; a second call does nothing."""
        owner, self._owner, self._old = self._owner, None, None
        if owner is not None:
            owner.done(self._user_id)

    def retake(self) -> None:
        """Do nothing, because the replacement is over."""
