"""Validates tokens with Auth: cached, coalesced, and behind a circuit breaker (spec §2)."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from memmie_gateway.core.auth.circuit import AuthHealth, Circuit, Turn
from memmie_gateway.core.auth.identity import Identity
from memmie_gateway.core.auth.lease import TokenEnds
from memmie_gateway.core.auth.verdicts import (
    REFUSED,
    AuthUnavailableError,
    Verdict,
    VerdictCache,
    read_verdict,
)
from memmie_gateway.core.histogram import CALL_BOUNDS, Histogram
from memmie_gateway.core.http.credentials import plausible
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import Maybe
from memmie_gateway.net.auth.guard import Guard, circuit_open
from memmie_gateway.net.auth.places import Places
from memmie_gateway.net.auth.question import AuthUrl, Question
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_gateway.net.http1.resolver import Resolver

MAX_TOKEN_BYTES: Final = 4096
"""The usual maximum length of a token in bytes."""


class CachedAuthenticator:
    """An `Authenticator` (see `core.auth.identity`) that sends tokens to Auth and caches the verdicts.

    While Auth gives no verdict, the last identity of a token is used also after its TTL (see `VerdictCache.stale`).

    Args:
        url: Auth's base URL.
        resolver: looks up Auth's host name.
        cache: stores verdicts.
        health: judges Auth's health, and stops requests to Auth while it fails.
        timeout: maximum time in seconds for one request to Auth, and for the wait until it can be sent.
        max_connections: maximum number of connections to Auth; the requests for one address have at most half of them.
        rng: spreads the times at which refused clients return.
        max_token_bytes: maximum length of a token; Auth is not asked about a longer one.
        keepalive: whether a connection to Auth is used for more than one token.
        ends: reads from Auth's answers when tokens end; None for no leeway.

    Attributes:
        asked: number of requests to Auth by outcome: "valid", "refused", "unusable", "unavailable".
        hits: number of tokens with a verdict in the cache.
        shared: number of tokens that waited for a request that was already under way.
        stale: number of tokens for which the last identity was used after its TTL.
        latency: duration of the requests to Auth, in seconds.
        on_claims_dropped: called with the size in bytes when claims are too large to keep, but only the first time.
    """

    def __init__(
        self,
        url: str,
        *,
        resolver: Resolver,
        cache: VerdictCache,
        health: AuthHealth,
        timeout: float,
        max_connections: int,
        rng: random.Random,
        max_token_bytes: int = MAX_TOKEN_BYTES,
        keepalive: bool = True,
        ends: TokenEnds | None = None,
    ) -> None:
        self._max_token_bytes = max_token_bytes
        self._ends = ends or TokenEnds()
        self._cache = cache
        self._question = Question(AuthUrl.parse(url), resolver, timeout=timeout, keep=keepalive)
        self._guard = Guard(
            health, Places(max_connections, timeout), self._question.probe, timeout=timeout, rng=rng
        )
        self._asking: dict[bytes, asyncio.Task[Verdict]] = {}
        self._claims_were_dropped = False
        self.asked: Counter[str] = Counter()
        self.hits = 0
        self.shared = 0
        self.stale = 0
        self.latency = Histogram(CALL_BOUNDS)
        self.on_claims_dropped: Callable[[int], None] = _nothing

    def __repr__(self) -> str:
        return f"<CachedAuthenticator {self.circuit} asking={len(self._asking)}>"

    async def stop(self) -> None:
        """Cancel the requests to Auth that are under way, and close the connections."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        await self._guard.stop()
        await self._question.close()

    @property
    def cached(self) -> int:
        """The number of verdicts in the cache."""
        return len(self._cache)

    @property
    def circuit(self) -> str:
        """The state of the circuit breaker."""
        return self._guard.circuit.value

    @property
    def on_circuit(self) -> Callable[[str], None]:
        """The function that is called with the reason when the circuit opens; with "" when it closes."""
        return self._guard.on_circuit

    @on_circuit.setter
    def on_circuit(self, function: Callable[[str], None]) -> None:
        self._guard.on_circuit = function

    def authenticate(self, token: str, address: str) -> Maybe[Identity]:
        """Return the identity that a token belongs to, or an awaitable of it if the verdict is not in the cache.

        If a waiter is cancelled, the request to Auth continues for the other waiters and for the cache.

        Args:
            token: the token.
            address: the key of the client's address.

        Raises:
            RefusedError: the token is invalid, Auth gave no usable verdict, or a resource of the gateway is exhausted. It
                is raised directly or by the awaitable.
        """
        if len(token) > self._max_token_bytes:
            raise RefusedError(Cause.TOKEN_TOO_LONG)
        if not token.isascii():
            raise RefusedError(Cause.TOKEN_REFUSED)
        digest = self._cache.digest(token)
        known = self._cache.get(digest)
        if known is not None:
            self.hits += 1
            return _identity(known)
        if not plausible(token):  # not before, because this is known to hold for a token with a verdict
            raise RefusedError(Cause.TOKEN_REFUSED)
        task = self._asking.get(digest)
        if self._guard.circuit is not Circuit.CLOSED and (stale := self._cache.stale(digest)) is not None:
            if task is None and (turn := self._guard.turn(address)) is Turn.TRIAL:
                self._ask(token, digest, address, turn)  # nobody waits for it
            self.stale += 1
            return stale
        if task is not None:
            self.shared += 1
            return self._wait(task, digest)
        turn = self._guard.turn(address)
        if turn is Turn.REFUSED:
            self.asked["unavailable"] += 1
            raise self._unavailable(circuit_open())
        return self._wait(self._ask(token, digest, address, turn), digest)

    def digest(self, token: str) -> bytes | None:
        """Return the digest that identifies a token in identities; None if it does not have the form of a token."""
        has_form = len(token) <= self._max_token_bytes and plausible(token)
        return self._cache.digest(token) if has_form else None

    async def ask_again(self, token: str, address: str) -> Verdict:
        """Ask Auth about a token, even if the verdict is in the cache, and cache the new one.

        Args:
            token: a token that was valid before.
            address: the key of the client's address.

        Raises:
            AuthUnavailableError: there is no verdict now.
            ExhaustionError: a resource of the gateway is exhausted.
        """
        digest = self._cache.digest(token)
        task = self._asking.get(digest)
        if task is None:
            if self._guard.circuit is not Circuit.CLOSED:
                raise circuit_open()
            task = self._ask(token, digest, address, Turn.FREE)
        return await asyncio.shield(task)

    async def _wait(self, task: asyncio.Task[Verdict], digest: bytes) -> Identity:
        try:
            # Shielded, because a client that disconnects must not cancel the request for the others.
            return _identity(await asyncio.shield(task))
        except AuthUnavailableError as error:
            stale = self._cache.stale(digest)
            if stale is None:
                raise self._unavailable(error) from None
            self.stale += 1
            return stale
        except ExhaustionError as error:
            raise RefusedError(Cause.GATEWAY_FULL, internal=str(error)) from None

    def _unavailable(self, error: AuthUnavailableError) -> RefusedError:
        return RefusedError(
            Cause.AUTH_UNAVAILABLE, internal=str(error), retry_after=self._guard.retry_after()
        )

    def _ask(self, token: str, digest: bytes, address: str, turn: Turn) -> asyncio.Task[Verdict]:
        task = asyncio.create_task(self._answer(token, digest, address, turn))
        self._asking[digest] = task
        task.add_done_callback(lambda done: self._answered(digest, done))
        return task

    def _answered(self, digest: bytes, task: asyncio.Task[Verdict]) -> None:
        del self._asking[digest]
        if not task.cancelled():
            task.exception()  # marks it as retrieved, because perhaps nothing waits for it any more

    async def _answer(self, token: str, digest: bytes, address: str, turn: Turn) -> Verdict:
        try:
            verdict = await self._guard.ask(lambda: self._send(token, digest), address, digest, turn)
        except AuthUnavailableError:
            self.asked["unavailable"] += 1
            raise
        self._cache.put(digest, verdict)
        self.asked[_outcome(verdict)] += 1
        return verdict

    async def _send(self, token: str, digest: bytes) -> Verdict:
        started = time.perf_counter()
        try:
            response = await self._question.ask(token)
        finally:
            self.latency.add(time.perf_counter() - started)
        return read_verdict(
            response, digest, now=time.time(), ends=self._ends, on_claims_dropped=self._claims_dropped
        )

    def _claims_dropped(self, size: int) -> None:
        """Report only the first time, because large claims are a property of Auth, not of one user."""
        if not self._claims_were_dropped:
            self._claims_were_dropped = True
            self.on_claims_dropped(size)


def _identity(verdict: Verdict) -> Identity:
    if isinstance(verdict, Identity):
        return verdict
    if verdict is REFUSED:
        raise RefusedError(Cause.TOKEN_REFUSED)
    raise RefusedError(Cause.AUTH_UNUSABLE, internal=verdict.words)


def _outcome(verdict: Verdict) -> str:
    if isinstance(verdict, Identity):
        return "valid"
    return "refused" if verdict is REFUSED else "unusable"


def _nothing(_: object) -> None:
    """Do nothing; the default of the callbacks."""
