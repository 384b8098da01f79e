"""Asks Auth again about the tokens of live sessions, and ends the sessions of tokens that were revoked (spec §2)."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from memmie_gateway.core.auth.identity import Identity
from memmie_gateway.core.auth.verdicts import REFUSED, AuthUnavailableError, Verdict
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.sessions.evictions import Evidence
from memmie_gateway.core.sessions.recheck import TICK_SECONDS, Answer, RawToken, Rechecks
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_gateway.net.sessions.evictor import Evictor
from memmie_gateway.net.sessions.live import Live
from memmie_gateway.net.sessions.registry import SessionRegistry

QUIET_SECONDS: Final = 60.0
"""Minimum time in seconds between two warnings that Auth is doubted."""


class Events(Protocol):
    """Receives the events of rechecks, for the log."""

    def recheck_doubted(self, refused: int, asked: int) -> None:
        """Auth refuses so many users that no session is ended."""


class Rechecker:
    """Asks Auth again about the tokens of live sessions.

    Args:
        rechecks: decides which tokens to ask about, and which to condemn.
        ask: asks Auth about a token of a client with this address key, past the cache (see
            `CachedAuthenticator.ask_again`).
        most: maximum number of questions at the same time.
        sessions: the live sessions.
        evictor: ends the sessions of condemned tokens.
        events: notified when Auth is doubted.
        clock: returns unix seconds.
        leeway: seconds that `Identity.expires` is later than the time at which Auth begins to refuse a token.

    Attributes:
        answers: number of questions by answer.
        on_valid: called with each identity that Auth has confirmed.
    """

    def __init__(
        self,
        rechecks: Rechecks,
        ask: Callable[[str, str], Awaitable[Verdict]],
        *,
        most: int,
        sessions: SessionRegistry,
        evictor: Evictor,
        events: Events,
        clock: Callable[[], float],
        leeway: float,
    ) -> None:
        self._rechecks = rechecks
        self._ask = ask
        self._most = most
        self._sessions = sessions
        self._evictor = evictor
        self._events = events
        self._clock = clock
        self._leeway = leeway
        self._tokens: dict[bytes, RawToken] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._warned = -math.inf
        self.answers: Counter[Answer] = Counter(dict.fromkeys(Answer, 0))
        self.on_valid: Callable[[Identity], None] | None = None

    def __repr__(self) -> str:
        return f"<Rechecker {self._rechecks!r} asking={len(self._asking)}>"

    def watch(self, identity: Identity, token: str) -> None:
        """Ask about a token from now on."""
        self._tokens.setdefault(identity.digest, RawToken(token))
        self._watch(identity)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._turn)

    def forget(self, digest: bytes) -> None:
        """Forget a token that has no live sessions any more."""
        self._tokens.pop(digest, None)
        self._rechecks.forget(digest)

    async def stop(self) -> None:
        """Ask no more, and forget all tokens."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        self._tokens.clear()

    def _watch(self, identity: Identity) -> None:
        now = asyncio.get_running_loop().time()
        until = now + identity.expires - self._leeway - self._clock() if identity.expires else math.inf
        self._rechecks.watch(identity.digest, identity.user_id, now, until)

    def _turn(self) -> None:
        self._ask_due()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TICK_SECONDS, self._turn) if self._tokens else None

    def _ask_due(self) -> None:
        loop = asyncio.get_running_loop()
        room = self._most - len(self._asking)
        for digest in self._rechecks.due(loop.time(), room) if room else ():
            address = self._sessions.of_token(digest)[0].info.client.limit_key
            task = loop.create_task(self._recheck(digest, self._tokens[digest], address))
            self._asking.add(task)
            task.add_done_callback(self._asked)

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        if self._timer is not None:
            self._ask_due()

    async def _recheck(self, digest: bytes, token: RawToken, address: str) -> None:
        verdict: Verdict | None
        try:
            verdict = await self._ask(token.reveal(), address)
        except (AuthUnavailableError, ExhaustionError):
            verdict = None
        except Exception as error:  # noqa: BLE001 - a bug must not end the rechecks of this token, and is logged
            verdict = None
            context = {"message": "a token could not be rechecked", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
        answer = self._read(digest, verdict)
        self.answers[answer] += 1
        decision = self._rechecks.answered(digest, answer, asyncio.get_running_loop().time())
        if isinstance(verdict, Identity) and answer is Answer.VALID and digest in self._tokens:
            self._watch(verdict)
            if self.on_valid is not None:
                self.on_valid(verdict)
        if decision is not None and decision.condemned:
            self._evict(digest)
        elif decision is not None:
            self._warn(decision.refused, decision.asked)

    def _read(self, digest: bytes, verdict: Verdict | None) -> Answer:
        if verdict is REFUSED:
            return Answer.REFUSED
        if not isinstance(verdict, Identity):
            return Answer.NONE
        live = self._sessions.of_token(digest)
        # A token that belongs to another user by now is no longer valid for this one.
        same = all(session.info.identity.user_id == verdict.user_id for session in live)
        return Answer.VALID if same else Answer.REFUSED

    def _evict(self, digest: bytes) -> None:
        for session in self._sessions.of_token(digest):
            if session.closing is None:
                self._evictor.submit(
                    session, Evidence.REFUSED, Cause.TOKEN_ENDED, holds=self._still_holds(session, digest)
                )

    def _still_holds(self, session: Live, digest: bytes) -> Callable[[], bool]:
        """Return a function that tells whether the session still belongs to this condemned token."""
        return lambda: session.info.identity.digest == digest and self._rechecks.is_condemned(digest)

    def _warn(self, refused: int, asked: int) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._warned + QUIET_SECONDS:
            self._warned = now
            self._events.recheck_doubted(refused, asked)
