"""Who is here: the Studios, and the live sessions by user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from memmie_gateway.core.balancer import Balancer
from memmie_gateway.core.closing import Side
from memmie_gateway.net.session import Session
from memmie_gateway.net.studio import Studio


class Registry:
    """Knows every Studio and every live session.

    Args:
        studios: the backends.
        balancer: orders them for a user.
    """

    def __init__(self, studios: Sequence[Studio], balancer: Balancer) -> None:
        self.studios = list(studios)
        self._balancer = balancer
        self._sessions: set[Session] = set()
        self._by_user: dict[str, list[Session]] = {}
        self._dialing: dict[str, list[Studio]] = {}
        self.on_empty: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<Registry studios={len(self.studios)} sessions={len(self._sessions)}>"

    def __len__(self) -> int:
        """Return how many sessions are live."""
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        """Go through the live sessions."""
        return iter(self._sessions)

    def preferred(self, user_id: str) -> list[Studio]:
        """Return the available Studios for a user, best first; none where none is available."""
        bound_to = self._bound_to(user_id)
        available = [studio for studio in self.studios if studio.available]
        known = [studio for studio in available if studio.healthy]
        return self._balancer.prefer(known or available, user_id, bound_to)

    def home(self, user_id: str) -> Studio | None:
        """Return the Studio that has the user's live sessions, if there are any."""
        for session in reversed(self._by_user.get(user_id, ())):
            if session.closing is None:
                return session.info.studio
        return None

    def _bound_to(self, user_id: str) -> Studio | None:
        """Return the Studio that has the user's live sessions, or will have those being made."""
        home = self.home(user_id)
        if home is not None:
            return home
        dialing = self._dialing.get(user_id)
        return dialing[-1] if dialing else None

    def begin_dial(self, user_id: str, studio: Studio) -> None:
        """Bind the user to `studio` while a connection to it is being made, until `end_dial`."""
        self._dialing.setdefault(user_id, []).append(studio)
        studio.connections += 1

    def end_dial(self, user_id: str, studio: Studio) -> None:
        """The connection was made, and its session added; or it was not."""
        studio.connections -= 1
        under_way = self._dialing[user_id]
        under_way.remove(studio)
        if not under_way:
            del self._dialing[user_id]

    def add(self, session: Session) -> None:
        """Take a session up."""
        self._sessions.add(session)
        session.info.studio.connections += 1
        self._by_user.setdefault(session.info.verdict.user_id, []).append(session)

    def remove(self, session: Session) -> None:
        """Let a session go, and add what went through it to its Studio's totals."""
        self._sessions.discard(session)
        session.info.studio.connections -= 1
        user_id = session.info.verdict.user_id
        mine = self._by_user[user_id]
        mine.remove(session)
        if not mine:
            del self._by_user[user_id]
        for side in (Side.CLIENT, Side.STUDIO):  # to go through an Enum itself is slow (CPython 3.11)
            session.info.studio.totals.add(side, session.scanner(side))
        if not self._sessions and self.on_empty is not None:
            self.on_empty()
