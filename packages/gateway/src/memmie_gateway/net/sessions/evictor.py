"""Ends sessions on evidence, at the pace that `core.sessions.evictions` allows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.sessions.evictions import Evictions, Evidence, Mode
from memmie_gateway.net.sessions.live import Live

TURN_SECONDS: Final = 0.02
"""Seconds between two turns while evictions wait."""


class Events(Protocol):
    """Receives the events of evictions, for the log."""

    def would_evict(self, session: Live, evidence: Evidence, cause: Cause) -> None:
        """A session would have been evicted, but the mode is `OBSERVE`."""


class Eviction(NamedTuple):
    """An eviction that waits; the attributes are the arguments of `Evictor.submit`."""

    session: Live
    evidence: Evidence
    cause: Cause
    end: Callable[[], object]
    holds: Callable[[], bool]


class Evictor:
    """Ends sessions on evidence.

    Args:
        evictions: decides the pace.
        mode: what happens to a session that is to be evicted.
        live: returns the number of live sessions.
        events: notified of evictions that are only observed.

    Attributes:
        evicted: number of sessions by evidence that were ended, or would have been in the mode `OBSERVE`.
        mode: as given.
    """

    def __init__(
        self, evictions: Evictions[Eviction], mode: Mode, live: Callable[[], int], events: Events
    ) -> None:
        self._evictions = evictions
        self._live = live
        self._events = events
        self._submitted: WeakKeyDictionary[Live, set[Evidence]] = WeakKeyDictionary()
        self._timer: asyncio.TimerHandle | None = None
        self.evicted: Counter[Evidence] = Counter(dict.fromkeys(Evidence, 0))
        self.mode = mode

    def __repr__(self) -> str:
        return f"<Evictor {self.mode.value} {self._evictions!r}>"

    def waiting(self) -> Iterable[tuple[Evidence, int]]:
        """Return how many evictions wait, by evidence."""
        return [(evidence, self._evictions.waiting(evidence)) for evidence in Evidence]

    def submit(
        self,
        session: Live,
        evidence: Evidence,
        cause: Cause,
        end: Callable[[], object] | None = None,
        *,
        holds: Callable[[], bool] = lambda: True,
    ) -> None:
        """End a session as soon as the pace allows it, unless it ends by itself before.

        A session that was submitted with the same evidence before is not submitted again while that waits; in the mode
        `OBSERVE` it never is.

        Args:
            session: the session.
            evidence: what the eviction is based on.
            cause: the cause of its end, for the log.
            end: ends it; None to end it with `cause`.
            holds: tells whether the evidence still holds when the turn of this eviction has come.
        """
        submitted = self._submitted.setdefault(session, set())
        if self.mode is Mode.OFF or evidence in submitted:
            return
        submitted.add(evidence)
        eviction = Eviction(session, evidence, cause, end or (lambda: session.end(cause)), holds)
        self._evictions.add(evidence, eviction)
        if self._timer is None:
            self._turn()

    def stop(self) -> None:
        """Forget the evictions that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        # First, because what ends here may submit further sessions.
        self._timer = loop.call_later(TURN_SECONDS, self._turn)
        for evidence, eviction in self._evictions.due(loop.time(), self._live(), holds=self._still_holds):
            self.evicted[evidence] += 1
            if self.mode is Mode.OBSERVE:
                self._events.would_evict(eviction.session, evidence, eviction.cause)
                continue
            self._submitted[eviction.session].discard(evidence)
            try:
                eviction.end()
            except Exception as error:  # noqa: BLE001 - the evictions after this one must not wait for ever
                context = {"message": "a session could not be evicted", "exception": error}
                loop.call_exception_handler(context)
        if not len(self._evictions) and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _still_holds(self, eviction: Eviction) -> bool:
        holds = eviction.session.closing is None and eviction.holds()
        if not holds:
            self._submitted[eviction.session].discard(eviction.evidence)
        return holds
