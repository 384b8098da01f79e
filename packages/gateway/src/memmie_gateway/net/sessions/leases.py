"""Leases: each live session belongs to a token, and ends when that token ends (spec §2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from memmie_gateway.core.auth.identity import Identity
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.net.sessions.live import Live
from memmie_gateway.net.sessions.registry import SessionRegistry
from memmie_gateway.net.sessions.wheel import Wheel

TICK_SECONDS: Final = 0.25
"""Maximum delay in seconds with which a token's end is noticed."""


class Rechecks(Protocol):
    """Asks Auth again about the tokens of live sessions."""

    def watch(self, identity: Identity, token: str) -> None:
        """A token has a live session."""

    def forget(self, digest: bytes) -> None:
        """A token has no live sessions any more."""


class Leases:
    """Ends the sessions of a token when it expires; also the local `Revocations` (see `core.auth.lease`).

    Args:
        sessions: the live sessions.
        close: whether sessions end when their token expires.
        clock: returns unix seconds.
        rechecks: told which tokens have live sessions; None if Auth is not asked again.

    Attributes:
        renewed: number of sessions that were moved to a new token.
    """

    def __init__(
        self,
        sessions: SessionRegistry,
        *,
        close: bool,
        clock: Callable[[], float],
        rechecks: Rechecks | None = None,
    ) -> None:
        self._sessions = sessions
        self._close = close
        self._rechecks = rechecks
        self._ends = Wheel(self.revoke, clock, tick=TICK_SECONDS)
        self.renewed = 0

    def __repr__(self) -> str:
        return f"<Leases {self._ends!r}>"

    def begun(self, session: Live, token: str) -> None:
        """A session has begun, and is in the registry."""
        self._hold(session.info.identity, token)

    def ended(self, session: Live) -> None:
        """A session has ended, and is not in the registry any more."""
        self._release(session.info.identity.digest)

    def extend(self, identity: Identity) -> None:
        """Auth has said again until when a token is valid."""
        if self._close and self._sessions.has_token(identity.digest):
            self._schedule(identity)

    def renew(self, digest: bytes, identity: Identity, token: str) -> int:
        """Move the live sessions of a token to another token of the same user; return their number.

        Args:
            digest: identifies the old token, which may be unknown, or belong to another user.
            identity: the identity that the new token belongs to.
            token: the new token.
        """
        moved = [
            session
            for session in self._sessions.of_token(digest)
            if session.closing is None and session.info.identity.user_id == identity.user_id
        ]
        for session in moved:
            self._sessions.renew(session, identity)
        if moved:
            self._hold(identity, token)
            self._release(digest)
        self.renewed += len(moved)
        return len(moved)

    def revoke(self, digest: bytes) -> int:
        """End the live sessions of a token; return their number."""
        live = [session for session in self._sessions.of_token(digest) if session.closing is None]
        for session in live:
            session.end(Cause.TOKEN_ENDED)
        return len(live)

    def stop(self) -> None:
        """End no more sessions."""
        self._ends.stop()

    def _hold(self, identity: Identity, token: str) -> None:
        if self._close:
            self._schedule(identity)
        if self._rechecks is not None:
            self._rechecks.watch(identity, token)

    def _schedule(self, identity: Identity) -> None:
        if identity.expires:
            self._ends.schedule(identity.digest, identity.expires)
        else:
            self._ends.cancel(identity.digest)

    def _release(self, digest: bytes) -> None:
        if not self._sessions.has_token(digest):
            self._ends.cancel(digest)
            if self._rechecks is not None:
                self._rechecks.forget(digest)
