"""The live sessions, found by request id, user and token, and by the address of the client and the backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.sessions.session import Session

K = TypeVar("K", str, bytes)


class _Index(Generic[K]):
    """Sessions by a key that some of them share.

    Nearly every key has one session, which then is the value itself: a list for each would cost 88 bytes a session.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[K, Session | list[Session]] = {}

    def __iter__(self) -> Iterator[Session]:
        for held in self._held.values():
            if isinstance(held, list):
                yield from held
            else:
                yield held

    def add(self, key: K, session: Session) -> None:
        held = self._held.setdefault(key, session)
        if isinstance(held, list):
            held.append(session)
        elif held is not session:
            self._held[key] = [held, session]

    def remove(self, key: K, session: Session) -> None:
        held = self._held[key]
        if isinstance(held, list):
            held.remove(session)
            if len(held) == 1:
                self._held[key] = held[0]
        else:
            del self._held[key]

    def get(self, key: K) -> tuple[Session, ...]:
        """Return the sessions of a key, in the order in which they were added."""
        held = self._held.get(key)
        if held is None:
            return ()
        return tuple(held) if isinstance(held, list) else (held,)


class SessionRegistry:
    """Knows every live session.

    Attributes:
        on_empty: called whenever the last session is removed.
    """

    def __init__(self) -> None:
        self._count = 0
        self._by_id: _Index[str] = _Index()
        self._by_user: _Index[str] = _Index()
        self._by_token: _Index[bytes] = _Index()
        self.on_empty: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} sessions={self._count}>"

    def __len__(self) -> int:
        """Return how many sessions are live."""
        return self._count

    def __iter__(self) -> Iterator[Session]:
        """Go through the live sessions."""
        return iter(self._by_id)

    def add(self, session: Session) -> None:
        """Add a session that has just begun."""
        info = session.info
        self._count += 1
        self._by_id.add(info.id, session)
        self._by_user.add(info.identity.user_id, session)
        self._by_token.add(info.identity.digest, session)

    def remove(self, session: Session) -> None:
        """Remove a session that has ended."""
        info = session.info
        self._count -= 1
        self._by_id.remove(info.id, session)
        self._by_user.remove(info.identity.user_id, session)
        self._by_token.remove(info.identity.digest, session)
        if not self._count and self.on_empty is not None:
            self.on_empty()

    # Each returns the sessions of the moment: they may be ended while going through them.

    def with_id(self, request_id: str) -> tuple[Session, ...]:
        """Return the sessions with this request id; more than one if clients have chosen the same."""
        return self._by_id.get(request_id)

    def of_user(self, user_id: str) -> tuple[Session, ...]:
        """Return the sessions of a user, oldest first."""
        return self._by_user.get(user_id)

    def of_token(self, digest: bytes) -> tuple[Session, ...]:
        """Return the sessions that were admitted with the token of this digest."""
        return self._by_token.get(digest)

    def of_address(self, address: str) -> tuple[Session, ...]:
        """Return the sessions of a client address. This looks at every session."""
        return tuple(session for session in self if session.info.client.address == address)

    def on_backend(self, backend: Backend) -> tuple[Session, ...]:
        """Return the sessions that are joined to a backend now. This looks at every session."""
        return tuple(session for session in self if session.backend is backend)

    def home(self, user_id: str) -> Backend | None:
        """Return the backend of the user's live sessions, if there are any."""
        for session in reversed(self._by_user.get(user_id)):
            if session.closing is None:
                return session.backend
        return None
