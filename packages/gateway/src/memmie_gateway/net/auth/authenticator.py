"""Validates tokens with Auth: cached, coalesced, and behind a circuit breaker (spec §2)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from memmie_gateway.core.breaker import Breaker
from memmie_gateway.core.credentials import plausible
from memmie_gateway.core.histogram import CALL_BOUNDS, Histogram
from memmie_gateway.core.identity import Identity
from memmie_gateway.core.lease import TokenEnds
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.refusals import RefusedError
from memmie_gateway.core.steps import Maybe
from memmie_gateway.core.verdicts import (
    REFUSED,
    AuthUnavailableError,
    Verdict,
    VerdictCache,
    read_verdict,
)
from memmie_gateway.net.auth.question import AuthUrl, Question
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_gateway.net.http1.resolver import Resolver


class CachedAuthenticator:
    """An `Authenticator` (see `core.identity`) that sends tokens to Auth and caches the verdicts.

    Args:
        url: Auth's base URL.
        resolver: looks up Auth's host name.
        cache: stores verdicts.
        breaker: stops requests to Auth after repeated failures.
        timeout: seconds for one request to Auth, including the wait for a free connection.
        max_connections: maximum number of connections to Auth.
        ends: reads from Auth's answers when tokens end; None for no leeway.

    Attributes:
        asked: number of requests to Auth by outcome: "valid", "refused", "unavailable".
        hits: number of tokens with a verdict in the cache.
        shared: number of tokens that waited for a request that was already under way.
        latency: duration of the requests to Auth, in seconds.
        on_circuit: called with the reason when the circuit opens; with "" when it closes.
        on_claims_dropped: called with the size in bytes when claims are too large to keep, but only the first time.
    """

    def __init__(
        self,
        url: str,
        *,
        resolver: Resolver,
        cache: VerdictCache,
        breaker: Breaker,
        timeout: float,
        max_connections: int,
        ends: TokenEnds | None = None,
    ) -> None:
        self._ends = ends or TokenEnds()
        self._cache = cache
        self._breaker = breaker
        self._question = Question(
            AuthUrl.parse(url), resolver, timeout=timeout, max_connections=max_connections
        )
        self._asking: dict[bytes, asyncio.Task[Verdict]] = {}
        self._claims_were_dropped = False
        self.asked: Counter[str] = Counter()
        self.hits = 0
        self.shared = 0
        self.latency = Histogram(CALL_BOUNDS)
        self.on_circuit: Callable[[str], None] = _nothing
        self.on_claims_dropped: Callable[[int], None] = _nothing

    def __repr__(self) -> str:
        return f"<CachedAuthenticator {self._breaker.circuit.value} asking={len(self._asking)}>"

    async def stop(self) -> None:
        """Cancel the requests to Auth that are under way, and close the connections."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        await self._question.close()

    @property
    def cached(self) -> int:
        """The number of verdicts in the cache."""
        return len(self._cache)

    @property
    def circuit(self) -> str:
        """The state of the circuit breaker."""
        return self._breaker.circuit.value

    def authenticate(self, token: str) -> Maybe[Identity]:
        """Return the identity that a token belongs to, or an awaitable of it if the verdict is not in the cache.

        If a waiter is cancelled, the request to Auth continues for the other waiters and for the cache.

        Raises:
            RefusedError: the token is invalid, Auth gave no verdict, or a resource of the gateway is exhausted. It is
                raised directly or by the awaitable.
        """
        if not plausible(token):
            raise RefusedError(Cause.TOKEN_REFUSED)
        digest = self._cache.digest(token)
        known = self._cache.get(digest)
        if known is not None:
            self.hits += 1
            return _identity(known)
        if digest in self._asking:
            self.shared += 1
        return self._wait(self._begin(token, digest))

    def digest(self, token: str) -> bytes | None:
        """Return the digest that identifies a token in identities; None if it does not have the form of a token."""
        return self._cache.digest(token) if plausible(token) else None

    async def ask_again(self, token: str, address: str) -> Verdict:
        """Send a token to Auth even if there is a verdict on it in the cache, which the new one replaces.

        Args:
            token: a token that was valid before.
            address: the key of the address of a client with this token.

        Raises:
            AuthUnavailableError: Auth gave no verdict.
            ExhaustionError: a resource of the gateway is exhausted.
        """
        del address
        return await asyncio.shield(self._begin(token, self._cache.digest(token)))

    def _begin(self, token: str, digest: bytes) -> asyncio.Task[Verdict]:
        """Return the request about a token that is under way; begin one if there is none."""
        task = self._asking.get(digest)
        if task is None:
            task = self._asking[digest] = asyncio.create_task(self._ask(token, digest))
            task.add_done_callback(lambda done: self._answered(digest, done))
        return task

    async def _wait(self, task: asyncio.Task[Verdict]) -> Identity:
        try:
            # Shielded, because a client that disconnects must not cancel the request for the others.
            return _identity(await asyncio.shield(task))
        except AuthUnavailableError as error:
            retry_after = self._breaker.retry_after(time.monotonic())
            raise RefusedError(Cause.AUTH_UNAVAILABLE, internal=str(error), retry_after=retry_after) from None
        except ExhaustionError as error:
            raise RefusedError(Cause.GATEWAY_FULL, internal=str(error)) from None

    def _answered(self, digest: bytes, task: asyncio.Task[Verdict]) -> None:
        del self._asking[digest]
        if not task.cancelled():
            task.exception()  # marks it as retrieved, because perhaps nothing waits for it any more

    async def _ask(self, token: str, digest: bytes) -> Verdict:
        if not self._breaker.allows(time.monotonic()):
            self.asked["unavailable"] += 1
            raise AuthUnavailableError("the circuit breaker of Auth is open after repeated failures")
        started = time.perf_counter()
        alive: bool | None = False
        words = "the request to Auth was interrupted"
        try:
            response = await self._question.ask(token)
            verdict = read_verdict(
                response, digest, now=time.time(), ends=self._ends, on_claims_dropped=self._claims_dropped
            )
            alive = True
        except AuthUnavailableError as error:
            self.asked["unavailable"] += 1
            alive, words = error.alive, str(error)
            raise
        except ExhaustionError:
            alive = None  # the request was not sent, because of local exhaustion
            raise
        finally:
            self.latency.add(time.perf_counter() - started)
            if alive:
                if self._breaker.succeeded():
                    self.on_circuit("")
            elif alive is not None and self._breaker.failed(time.monotonic()):
                self.on_circuit(words)
        self._cache.put(digest, verdict)
        self.asked["refused" if verdict is REFUSED else "valid"] += 1
        return verdict

    def _claims_dropped(self, size: int) -> None:
        """Report only the first time, because large claims are a property of Auth, not of one user."""
        if not self._claims_were_dropped:
            self._claims_were_dropped = True
            self.on_claims_dropped(size)


def _identity(verdict: Verdict) -> Identity:
    if verdict is REFUSED:
        raise RefusedError(Cause.TOKEN_REFUSED)
    return verdict


def _nothing(_: object) -> None:
    """Do nothing; the default of the callbacks."""
