"""Who is here: the Studios, and the live sessions by user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from memmie_gateway.core.balancer import Balancer
from memmie_gateway.core.outcomes import Side
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.sessions.session import Session


class Registry:
    """Knows every Studio and every live session.

    Args:
        backends: all of them.
        balancer: orders them for a user.
    """

    def __init__(self, backends: Sequence[Backend], balancer: Balancer) -> None:
        self.backends = list(backends)
        self._balancer = balancer
        self._sessions: set[Session] = set()
        self._by_user: dict[str, list[Session]] = {}
        self._dialing: dict[str, list[Backend]] = {}
        self.on_empty: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<Registry backends={len(self.backends)} sessions={len(self._sessions)}>"

    def __len__(self) -> int:
        """Return how many sessions are live."""
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        """Go through the live sessions."""
        return iter(self._sessions)

    def preferred(self, user_id: str) -> list[Backend]:
        """Return the available Studios for a user, best first; none where none is available."""
        bound_to = self._bound_to(user_id)
        available = [backend for backend in self.backends if backend.available]
        known = [backend for backend in available if backend.healthy]
        return self._balancer.prefer(known or available, user_id, bound_to)

    def home(self, user_id: str) -> Backend | None:
        """Return the Studio that has the user's live sessions, if there are any."""
        for session in reversed(self._by_user.get(user_id, ())):
            if session.closing is None:
                return session.info.backend
        return None

    def _bound_to(self, user_id: str) -> Backend | None:
        """Return the Studio that has the user's live sessions, or will have those being made."""
        home = self.home(user_id)
        if home is not None:
            return home
        dialing = self._dialing.get(user_id)
        return dialing[-1] if dialing else None

    def begin_dial(self, user_id: str, backend: Backend) -> None:
        """Bind the user to `studio` while a connection to it is being made, until `end_dial`."""
        self._dialing.setdefault(user_id, []).append(backend)
        backend.connections += 1

    def end_dial(self, user_id: str, backend: Backend) -> None:
        """The connection was made, and its session added; or it was not."""
        backend.connections -= 1
        under_way = self._dialing[user_id]
        under_way.remove(backend)
        if not under_way:
            del self._dialing[user_id]

    def add(self, session: Session) -> None:
        """Take a session up."""
        self._sessions.add(session)
        session.info.backend.connections += 1
        self._by_user.setdefault(session.info.identity.user_id, []).append(session)

    def remove(self, session: Session) -> None:
        """Let a session go, and add what went through it to its Studio's totals."""
        self._sessions.discard(session)
        session.info.backend.connections -= 1
        user_id = session.info.identity.user_id
        mine = self._by_user[user_id]
        mine.remove(session)
        if not mine:
            del self._by_user[user_id]
        for side in (Side.CLIENT, Side.BACKEND):  # to go through an Enum itself is slow (CPython 3.11)
            session.info.backend.totals.add(side, session.scanner(side))
        if not self._sessions and self.on_empty is not None:
            self.on_empty()
