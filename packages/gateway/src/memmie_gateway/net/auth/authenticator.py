"""Asking Auth about tokens: cached, one request per token at a time, and not at all while Auth is down (spec §2)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from memmie_gateway.core.breaker import Breaker
from memmie_gateway.core.histogram import CALL_BOUNDS, Histogram
from memmie_gateway.core.verdicts import AuthUnavailableError, Verdict, VerdictCache, read_verdict
from memmie_gateway.net.auth.pool import AuthPool
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_gateway.net.http1.url import AuthUrl


class Authenticator:
    """Finds out whose a token is.

    Args:
        url: Auth's base URL, without a slash at the end.
        cache: what is known already.
        breaker: stops asking an Auth that fails.
        timeout: seconds for one question, waiting for a free connection included.
        max_connections: to Auth, at once.

    Attributes:
        asked: questions to Auth by outcome: "valid", "refused", "unavailable".
        hits: tokens whose verdict was known.
        shared: tokens that waited for the answer to the question of another connection.
        latency: of the questions.
        on_circuit: called with why, when Auth is left alone for a while because it fails; with "" when it answers again.
    """

    def __init__(
        self, url: str, *, cache: VerdictCache, breaker: Breaker, timeout: float, max_connections: int
    ) -> None:
        self._url = AuthUrl.parse(url)
        self._cache = cache
        self._breaker = breaker
        self._timeout = timeout
        self._max_connections = max_connections
        self._pool: AuthPool | None = None
        self._asking: dict[bytes, asyncio.Task[Verdict]] = {}
        self.asked: Counter[str] = Counter()
        self.hits = 0
        self.shared = 0
        self.latency = Histogram(CALL_BOUNDS)
        self.on_circuit: Callable[[str], None] = _nothing

    def __repr__(self) -> str:
        return f"<Authenticator {self._breaker.circuit.value} asking={len(self._asking)}>"

    async def start(self) -> None:
        """Open the pool of connections; it connects when first needed."""
        self._pool = AuthPool(self._url, timeout=self._timeout, max_connections=self._max_connections)

    async def stop(self) -> None:
        """Drop the questions under way and close the pool."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        if self._pool is not None:
            await self._pool.close()

    def digest(self, token: str) -> bytes:
        """Return the name under which a token is known here."""
        return self._cache.digest(token)

    @property
    def cached(self) -> int:
        """How many verdicts are known."""
        return len(self._cache)

    @property
    def circuit(self) -> str:
        """The state of the breaker."""
        return self._breaker.circuit.value

    def retry_after(self) -> float:
        """Return the seconds after which it makes sense to ask again."""
        return self._breaker.retry_after(time.monotonic())

    async def verdict(self, token: str, digest: bytes) -> Verdict:
        """Return Auth's word on a token.

        Raises:
            AuthUnavailableError: Auth gave no usable answer, or is not asked at present.
            ExhaustionError: the gateway itself cannot connect to anything.
        """
        known = self._cache.get(digest)
        if known is not None:
            self.hits += 1
            return known
        task = self._asking.get(digest)
        if task is None:
            task = asyncio.create_task(self._ask(token, digest))
            self._asking[digest] = task
            task.add_done_callback(lambda done: self._asked(digest, done))
        else:
            self.shared += 1
        # Shielded: a client that leaves must not take the answer away from the others.
        return await asyncio.shield(task)

    def _asked(self, digest: bytes, task: asyncio.Task[Verdict]) -> None:
        del self._asking[digest]
        if not task.cancelled():
            task.exception()  # whoever asked has it; nobody may be left to see it

    async def _ask(self, token: str, digest: bytes) -> Verdict:
        if not self._breaker.allows(time.monotonic()):
            self.asked["unavailable"] += 1
            raise AuthUnavailableError("Auth has failed repeatedly and is left alone for a moment")
        assert self._pool is not None, "not started"  # noqa: S101 - a mistake of ours, not of a peer
        started = time.perf_counter()
        alive: bool | None = False
        words = "it was not asked to the end"
        try:
            verdict = read_verdict(*await self._pool.ask(token), time.time())
            alive = True
        except AuthUnavailableError as error:
            self.asked["unavailable"] += 1
            alive, words = error.alive, str(error)
            raise
        except ExhaustionError:
            alive = None  # it was not asked
            raise
        finally:
            self.latency.add(time.perf_counter() - started)
            if alive:
                if self._breaker.succeeded():
                    self.on_circuit("")
            elif alive is not None and self._breaker.failed(time.monotonic()):
                self.on_circuit(words)
        self._cache.put(digest, verdict)
        self.asked["valid" if verdict.valid else "refused"] += 1
        return verdict


def _nothing(_: str) -> None:
    """Stand in until somebody wants to know."""
