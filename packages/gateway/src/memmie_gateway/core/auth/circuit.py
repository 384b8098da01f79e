"""Auth's health: what counts as evidence, and the circuit that stops questions to an Auth that fails (spec §2).

A *question* is a token that is sent to Auth. The circuit is closed while Auth works. It opens if the questions of
several clients fail, so that no single client can stop the questions of the others. It closes after a *probe*, a request
of the gateway's own, has got an answer, and then a *trial*, the question of a client, too.
"""

from __future__ import annotations

import enum
import random
from typing import Final

from memmie_gateway.core.auth.failure_window import FailureWindow

MIN_ADDRESSES: Final = 3
"""Number of addresses whose questions must fail. With fewer, only a probe that fails as well opens the circuit."""

MIN_TOKENS: Final = 3
"""Number of different tokens that must fail. One token may come from many addresses, for example from a phone."""

TRIALS: Final = 3
"""Number of questions in one trial."""

SUSPECT_TRIALS: Final = 2
"""Number of them that addresses may have that were in an earlier trial, and got no verdict."""

BLIND_PROBES: Final = 10
"""After so many failed probes in a row a trial begins nevertheless: perhaps Auth has only a broken health check."""

HOLD_SECONDS: Final = 0.3
"""A question that comes so shortly before the next probe is held for its result; but at most this part of the interval."""

MAX_SUSPECTS: Final = 1024
"""Number of addresses that are remembered for `SUSPECT_TRIALS`."""


class Circuit(enum.Enum):
    """The states of the circuit."""

    CLOSED = "closed"
    """Every question may be asked."""
    OPEN = "open"
    """No question may be asked."""
    TRIAL = "trial"
    """A few questions may be asked, one after the other."""


class Turn(enum.Enum):
    """Whether a client's question may be asked."""

    FREE = "free"
    """It may be asked."""
    TRIAL = "trial"
    """It is part of the trial, and may be asked after the others in it."""
    HELD = "held"
    """Perhaps it may be asked soon, after the next probe or the trial that goes on."""
    REFUSED = "refused"
    """It may not be asked."""


class Doubt(enum.Enum):
    """What a failed question leads to."""

    NONE = "none"
    """Nothing."""
    PROBE = "probe"
    """A probe is to be made now."""
    OPENED = "opened"
    """The circuit is open now."""


class AuthHealth:
    """Judges Auth's health by questions and probes.

    Args:
        failures: number of failed tokens in the window that open the circuit; 0 never opens it.
        probe_seconds: seconds between the beginnings of two probes.

    Attributes:
        circuit: its state.
        next_probe: seconds of the monotonic clock at which the next probe may begin.
    """

    __slots__ = (
        "_closed_at",
        "_failed_trials",
        "_failures",
        "_missed_probes",
        "_places",
        "_probe_seconds",
        "_suspect_places",
        "_suspects",
        "_tried",
        "_window",
        "circuit",
        "next_probe",
    )

    def __init__(self, *, failures: int, probe_seconds: float) -> None:
        self._failures = failures
        self._probe_seconds = probe_seconds
        self._window = FailureWindow.for_failures(failures)
        self._closed_at = float("-inf")
        self._missed_probes = 0  # in a row
        self._places = 0  # questions that the trial can still have
        self._suspect_places = 0
        self._failed_trials = 0
        self._tried: set[str] = set()  # addresses in this trial
        self._suspects: dict[str, None] = {}  # addresses in earlier trials, the oldest first
        self.circuit = Circuit.CLOSED
        self.next_probe = float("-inf")

    def __repr__(self) -> str:
        return f"<AuthHealth {self.circuit.value} {self._window!r}>"

    def turn(self, address: str, now: float) -> Turn:
        """Tell whether a question may be asked; `Turn.TRIAL` takes one of the places in the trial.

        An address that had a place in an earlier trial gets only one place in each of the next trials. Otherwise a
        client with tokens on which Auth fails could take all places in every trial.

        Args:
            address: the key of the client's address.
            now: seconds of a monotonic clock.
        """
        if self.circuit is Circuit.CLOSED:
            return Turn.FREE
        if self.circuit is Circuit.OPEN:
            soon = HOLD_SECONDS * min(1.0, self._probe_seconds)
            return Turn.HELD if self.next_probe - now < soon else Turn.REFUSED
        if not self._places:
            return Turn.HELD
        if address in self._suspects:
            if address in self._tried or not self._suspect_places:
                return Turn.HELD
            self._suspect_places -= 1
        self._places -= 1
        self._tried.add(address)
        return Turn.TRIAL

    def answered(
        self, address: str, digest: bytes, *, asked_at: float, now: float, in_trial: bool = False
    ) -> bool:
        """Count a question with a verdict, yes or no; return whether it closes the circuit.

        Args:
            address: the key of the client's address.
            digest: identifies the token.
            asked_at: when the question was asked, in seconds of a monotonic clock.
            now: seconds of the same clock.
            in_trial: whether the question was part of a trial.
        """
        if asked_at >= self._closed_at:
            self._window.add(address, digest, now, failed=False)
        if not in_trial or self.circuit is Circuit.CLOSED:
            return False
        self.circuit = Circuit.CLOSED
        self._closed_at = now
        # Not the good ones, or a few addresses that always fail would have the majority at every new start.
        self._window.forget_failures()
        self._suspects.clear()
        self._end_trial()
        return True

    def failed(
        self, address: str, digest: bytes, *, asked_at: float, now: float, in_trial: bool = False
    ) -> Doubt:
        """Count a question that failed; return what this leads to.

        A question that was asked before the circuit closed again does not count, because it says nothing about Auth
        now. The arguments are those of `answered`.
        """
        if asked_at < self._closed_at:
            return Doubt.NONE
        self._window.add(address, digest, now, failed=True)
        if self.circuit is not Circuit.CLOSED:
            self._failed_trials += in_trial
            if self._failed_trials >= TRIALS and not self._places:
                self.circuit = Circuit.OPEN
            return Doubt.NONE
        found = self._window.failures(now)
        if not 0 < self._failures <= found.tokens:
            return Doubt.NONE
        if (
            found.of_failing >= self._failures
            and found.failing >= MIN_ADDRESSES
            and 2 * found.failing >= found.addresses
            and self._window.different(now, MIN_TOKENS) >= MIN_TOKENS
        ):
            self._open(now)
            return Doubt.OPENED
        return Doubt.PROBE if now >= self.next_probe else Doubt.NONE

    def probing(self, now: float) -> None:
        """Note that a probe begins."""
        self.next_probe = now + self._probe_seconds

    def probed(self, now: float, *, alive: bool) -> bool:
        """Count a probe; return whether it opens the circuit.

        While the circuit is closed, a failed probe opens it only if the questions have failed, too, and none of them
        got a verdict in the meantime.

        Args:
            now: seconds of a monotonic clock.
            alive: whether the probe got an answer that shows that Auth is alive.
        """
        self._missed_probes = 0 if alive else self._missed_probes + 1
        if self.circuit is Circuit.CLOSED:
            if alive or not self._failures or self._window.good_since(self._failures, now):
                return False
            self._open(now)
            return True
        self._end_trial()
        if alive or self._missed_probes % BLIND_PROBES == 0:
            self.circuit = Circuit.TRIAL
            self._places, self._suspect_places = TRIALS, SUSPECT_TRIALS
        else:
            self.circuit = Circuit.OPEN
        return False

    def retry_after(self, now: float, rng: random.Random) -> float:
        """Return the seconds after which a refused client should try again; 0 while the circuit is closed.

        They differ from client to client, because otherwise all would return at the same time.
        """
        if self.circuit is Circuit.CLOSED:
            return 0.0
        # In whole seconds: 1 or 2 with an interval of 1 second, so that all are back soon after Auth is.
        wait = max(0.0, self.next_probe - now - 1)
        return wait + 0.6 + rng.uniform(0, 0.7) * max(1.0, self._probe_seconds)

    def _open(self, now: float) -> None:
        self.circuit = Circuit.OPEN
        self._missed_probes = 0
        self.probing(now)

    def _end_trial(self) -> None:
        """End the trial; from now on its addresses count as suspects."""
        if self.circuit is not Circuit.CLOSED:
            for address in self._tried:
                self._suspects.pop(address, None)
                self._suspects[address] = None
            while len(self._suspects) > MAX_SUSPECTS:
                del self._suspects[next(iter(self._suspects))]
        self._tried.clear()
        self._places = self._suspect_places = self._failed_trials = 0
