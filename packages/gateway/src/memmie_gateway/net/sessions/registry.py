"""The registry of live sessions, with look-up by request id, user, token, client address and backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from memmie_gateway.core.auth.identity import Identity
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.sessions.live import Live

K = TypeVar("K", str, bytes)


class _Index(dict[K, "Live | list[Live]"]):
    """Sessions by a key; several sessions may have the same key.

    Most keys have one session, which is then the value itself, because a list would cost 88 bytes per session.
    """

    def add(self, key: K, session: Live) -> None:
        """Add a session to a key."""
        held = self.setdefault(key, session)
        if held is not session:
            if isinstance(held, list):
                held.append(session)
            else:
                self[key] = [held, session]

    def remove(self, key: K, session: Live) -> None:
        """Remove a session from a key."""
        held = self.pop(key)
        if held is not session:
            assert isinstance(held, list)  # noqa: S101 - several sessions have this key
            held.remove(session)
            self[key] = held if len(held) > 1 else held[0]

    def all_of(self, key: K) -> tuple[Live, ...]:
        """Return the sessions of a key, in the order in which they were added."""
        held = self.get(key)
        if held is None:
            return ()
        return tuple(held) if isinstance(held, list) else (held,)


class SessionRegistry:
    """Lists all live sessions.

    Attributes:
        on_empty: called whenever the last session is removed.
    """

    def __init__(self) -> None:
        self._sessions: dict[Live, None] = {}  # a set in the order in which they were added
        self._by_user: _Index[str] = _Index()
        self._by_token: _Index[bytes] = _Index()
        self.on_empty: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} sessions={len(self)}>"

    def __len__(self) -> int:
        """Return the number of live sessions."""
        return len(self._sessions)

    def __iter__(self) -> Iterator[Live]:
        """Iterate over the live sessions, oldest first."""
        return iter(self._sessions)

    def add(self, session: Live) -> None:
        """Add a session that has just begun."""
        identity = session.info.identity
        self._sessions[session] = None
        self._by_user.add(identity.user_id, session)
        self._by_token.add(identity.digest, session)

    def remove(self, session: Live) -> None:
        """Remove a session that has ended."""
        identity = session.info.identity
        del self._sessions[session]
        self._by_user.remove(identity.user_id, session)
        self._by_token.remove(identity.digest, session)
        if not self._sessions and self.on_empty is not None:
            self.on_empty()

    def renew(self, session: Live, identity: Identity) -> None:
        """Let a session belong to another token of the same user."""
        self._by_token.remove(session.info.identity.digest, session)
        session.info = replace(session.info, identity=identity)
        self._by_token.add(identity.digest, session)

    # Each returns a copy, so that sessions may be ended during the iteration.

    def with_id(self, request_id: str) -> tuple[Live, ...]:
        """Return the sessions with this request id, by a scan of all sessions; several clients may have chosen the same one."""
        return tuple(session for session in self if session.info.id == request_id)

    def of_user(self, user_id: str) -> tuple[Live, ...]:
        """Return the sessions of a user, oldest first."""
        return self._by_user.all_of(user_id)

    def of_token(self, digest: bytes) -> tuple[Live, ...]:
        """Return the sessions that belong to the token with this digest."""
        return self._by_token.all_of(digest)

    def has_token(self, digest: bytes) -> bool:
        """Tell whether there is a session that belongs to the token with this digest."""
        return digest in self._by_token

    def of_address(self, address: str) -> tuple[Live, ...]:
        """Return the sessions of a client address, by a scan of all sessions."""
        return tuple(session for session in self if session.info.client.address == address)

    def on_backend(self, backend: Backend) -> tuple[Live, ...]:
        """Return the sessions that are attached to a backend now, by a scan of all sessions."""
        return tuple(session for session in self if session.backend is backend)

    def users_on(self, backend: Backend) -> set[str]:
        """Return the users with sessions on a backend, by a scan of all sessions.

        A live response to a request without a token has a key in place of a user, and is left out.
        """
        identities = [session.info.identity for session in self.on_backend(backend)]
        return {identity.user_id for identity in identities if identity.digest}

    def newest(self, user_id: str) -> Live | None:
        """Return the newest session of a user that is not ending, or None if there is none."""
        if user_id in self._by_user:
            for session in reversed(self._by_user.all_of(user_id)):
                if session.closing is None:
                    return session
        return None

    def home(self, user_id: str) -> Backend | None:
        """Return the backend of the user's live sessions, or None if there are none."""
        session = self.newest(user_id)
        return session.backend if session is not None else None

    def users(self) -> list[str]:
        """Return the users with sessions."""
        return list(self._by_user)

    def users_on_several_backends(self) -> list[str]:
        """Return the users with sessions on several backends; some of these sessions may be ending."""
        found = []
        for user_id, held in self._by_user.items():
            if isinstance(held, list):
                backend = held[0].backend
                for session in held:
                    if session.backend is not backend:
                        found.append(user_id)
                        break
        return found
