"""Asks questions only when they may be asked, and judges Auth by the answers (see `core.auth.circuit`).

A question passes these, in this order: the circuit, or a turn in the trial; a place; and shortly after the circuit has
closed, the pace. Only then does the time begin that Auth has for its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final

from memmie_gateway.core.auth.circuit import AuthHealth, Circuit, Doubt, Turn
from memmie_gateway.core.auth.verdicts import AuthUnavailableError, Unusable, Verdict
from memmie_gateway.core.limits import Rate, TokenBucket
from memmie_gateway.net.auth.places import Places
from memmie_gateway.net.auth.trial import Trial
from memmie_gateway.net.clock import loop_time
from memmie_gateway.net.http1.exhaustion import ExhaustionError

MAX_HOLD_SECONDS: Final = 1.0
"""Maximum number of seconds for which a question is held."""

PACE: Final = Rate(300, 3)
"""Questions per second after the circuit has closed: about 30 in 100 ms, and never 50 even if the loop is late."""

PACED_SECONDS: Final = 10.0
"""Seconds for which questions are paced after the circuit has closed."""

LATE_SECONDS: Final = 1.0
"""If a request takes so much longer than its time-out, the gateway itself was stopped or overloaded, not Auth."""

MAX_PROBES: Final = 5
"""Maximum number of probes at the same time; the oldest is cancelled for a new one."""


class Guard:
    """Asks Auth, and keeps its circuit.

    Args:
        health: judges Auth's health.
        places: limits how many questions are asked at the same time.
        probe: sends a probe to Auth; it raises `AuthUnavailableError` if Auth is not alive.
        timeout: maximum time in seconds for one request to Auth.
        rng: spreads the times at which refused clients return.

    Attributes:
        on_circuit: called with the reason when the circuit opens; with "" when it closes.
    """

    def __init__(
        self,
        health: AuthHealth,
        places: Places,
        probe: Callable[[], Awaitable[None]],
        *,
        timeout: float,
        rng: random.Random,
    ) -> None:
        self._health = health
        self._places = places
        self._probe = probe
        self._timeout = timeout
        self._rng = rng
        self._trial = Trial()
        self._news = asyncio.Event()  # set at the next end of a probe or a trial
        self._why = ""  # the words of the last failed question
        self._probes: dict[asyncio.Task[None], float] = {}  # with their beginnings, the oldest first
        self._alive_at = float("-inf")  # the beginning of the last probe that found Auth alive
        self._timer: asyncio.TimerHandle | None = None
        self._pace = TokenBucket(PACE, 0)
        self._pacing = asyncio.Lock()
        self._paced_until = float("-inf")
        self.on_circuit: Callable[[str], None] = _nothing

    def __repr__(self) -> str:
        return f"<Guard {self._health!r} {self._places!r}>"

    async def stop(self) -> None:
        """Stop probing."""
        if self._timer is not None:
            self._timer.cancel()
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)

    @property
    def circuit(self) -> Circuit:
        """The state of the circuit."""
        return self._health.circuit

    def turn(self, address: str) -> Turn:
        """Tell whether a question of a client may be asked (see `AuthHealth.turn`); the result goes to `ask`."""
        return self._health.turn(address, loop_time())

    def retry_after(self) -> float:
        """Return the seconds after which a client without a verdict should try again."""
        return self._health.retry_after(loop_time(), self._rng)

    async def ask(
        self, send: Callable[[], Awaitable[Verdict]], address: str, digest: bytes, turn: Turn
    ) -> Verdict:
        """Ask a question when it may be asked, and judge Auth by the outcome.

        Args:
            send: sends the question, and returns the verdict.
            address: the key of the client's address.
            digest: identifies the token.
            turn: the result of `turn`, but not `Turn.REFUSED`.

        Raises:
            AuthUnavailableError: there is no verdict.
            ExhaustionError: the gateway itself cannot connect to anything.
        """
        if turn is Turn.HELD:
            turn = await self._hold(address)
        if turn is Turn.TRIAL:
            async with self._trial.turn():
                return await self._ask(send, address, digest, in_trial=True)
        return await self._ask(send, address, digest, in_trial=False)

    async def _hold(self, address: str) -> Turn:
        turn = Turn.HELD
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MAX_HOLD_SECONDS):
                while turn is Turn.HELD:
                    await self._news.wait()
                    turn = self.turn(address)
        if turn in (Turn.HELD, Turn.REFUSED):
            raise circuit_open()
        return turn

    async def _ask(
        self, send: Callable[[], Awaitable[Verdict]], address: str, digest: bytes, *, in_trial: bool
    ) -> Verdict:
        try:
            async with self._places.hold(address):
                await self._keep_pace()
                if not in_trial and self.circuit is not Circuit.CLOSED:
                    raise circuit_open()  # it has opened in the meantime
                return await self._judged(send, address, digest, in_trial=in_trial)
        except TimeoutError:  # of the wait for a place; the request has none
            raise AuthUnavailableError("too many questions to Auth were under way", failure=False) from None

    async def _keep_pace(self) -> None:
        if loop_time() >= self._paced_until:
            return
        async with self._pacing:
            # A loop that was late must not send all at once what is due: so each question looks at the clock again.
            while wait := self._pace.take(loop_time()):  # noqa: ASYNC110 - it waits for time to pass
                await asyncio.sleep(wait)

    async def _judged(
        self, send: Callable[[], Awaitable[Verdict]], address: str, digest: bytes, *, in_trial: bool
    ) -> Verdict:
        asked_at = loop_time()
        try:
            verdict = await send()
        except AuthUnavailableError as error:
            now = loop_time()
            if error.failure and now - asked_at < self._timeout + LATE_SECONDS:
                self._why = str(error)
                doubt = self._health.failed(address, digest, asked_at=asked_at, now=now, in_trial=in_trial)
                if doubt is Doubt.OPENED:
                    for probe in self._probes:
                        probe.cancel()  # it was sent before the last failure
                    self._opened()
                elif doubt is Doubt.PROBE:
                    self._start_probe()
                elif self.circuit is Circuit.OPEN:
                    self._end_trial()
            raise
        if not isinstance(verdict, Unusable) and self._health.answered(
            address, digest, asked_at=asked_at, now=loop_time(), in_trial=in_trial
        ):
            self._has_closed()
        return verdict

    # The circuit.

    def _opened(self) -> None:
        self.on_circuit(self._why)
        self._schedule()

    def _has_closed(self) -> None:
        now = loop_time()
        self._pace = TokenBucket(PACE, now)
        self._paced_until = now + PACED_SECONDS
        self._end_trial()
        self.on_circuit("")

    # Probes.

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()  # of the last time that it was open
        self._timer = asyncio.get_running_loop().call_later(
            max(0.0, self._health.next_probe - loop_time()), self._tick
        )

    def _tick(self) -> None:
        self._timer = None
        if self._health.circuit is not Circuit.CLOSED:
            self._start_probe()
            self._schedule()

    def _start_probe(self) -> None:
        if len(self._probes) >= MAX_PROBES:
            next(iter(self._probes)).cancel()
        now = loop_time()
        self._health.probing(now)
        task = asyncio.create_task(self._make_probe(now))
        self._probes[task] = now
        task.add_done_callback(self._probes.pop)

    async def _make_probe(self, began: float) -> None:
        try:
            await self._probe()
        except AuthUnavailableError:
            now = loop_time()
            if began < self._alive_at or now - began >= self._timeout + LATE_SECONDS:
                return  # a later probe has found Auth alive, or the gateway itself was late
            if self._health.probed(now, alive=False):
                self._opened()
            self._after_probe()
        except ExhaustionError:
            pass  # this says nothing about Auth
        else:
            self._alive_at = max(self._alive_at, began)
            self._health.probed(loop_time(), alive=True)
            self._after_probe()

    def _after_probe(self) -> None:
        self._end_trial()
        if self.circuit is Circuit.TRIAL:
            self._trial = Trial()

    def _end_trial(self) -> None:
        self._trial.end()
        self._news.set()
        self._news = asyncio.Event()


def circuit_open() -> AuthUnavailableError:
    """Make the error for a question that may not be asked."""
    return AuthUnavailableError("the circuit breaker of Auth is open after repeated failures", failure=False)


def _nothing(_: str) -> None:
    """Do nothing; the default of the callback."""
