"""Rechecks: which tokens of live sessions Auth is asked about again, and what its answers mean.

A token is condemned only after two refusals, with `CONFIRM_SECONDS` between them, and only if Auth does not refuse many
other users as well in the meantime (see `core.sessions.control_group`).
"""

from __future__ import annotations

import enum
import math
import random
from typing import Final, NamedTuple

from memmie_gateway.core.sessions.control_group import ControlGroup
from memmie_gateway.core.timer_wheel import TimerWheel

CONFIRM_SECONDS: Final = 5.0
"""Seconds between the first and the second refusal; extra questions about other users fall into this time."""

TICK_SECONDS: Final = 0.25
"""Precision of the times at which tokens are asked about."""


class Answer(enum.Enum):
    """What Auth said about a token."""

    VALID = "valid"
    REFUSED = "refused"
    NONE = "unavailable"

    __hash__ = object.__hash__  # by identity; that of Enum hashes the name, in Python


class Decision(NamedTuple):
    """What follows from a second refusal.

    Attributes:
        condemned: whether the sessions of the token are to be ended; otherwise Auth is doubted.
        refused: number of other users that Auth refused.
        asked: number of other users that Auth answered about.
    """

    condemned: bool
    refused: int = 0
    asked: int = 0


class RawToken:
    """A token, kept to ask Auth about it again. It shows in no repr, and cannot be pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "<RawToken>"

    def __reduce__(self) -> str:
        raise TypeError("a raw token must not leave the process")

    def reveal(self) -> str:
        """Return the token."""
        return self._text


class _Watched:
    """A token of live sessions: its user, and the time from which on Auth's answers say nothing new."""

    __slots__ = ("until", "user_id")

    def __init__(self, user_id: str, until: float) -> None:
        self.user_id = user_id
        self.until = until


class Rechecks:
    """Decides which tokens to ask about, and which to condemn. All times are seconds of a monotonic clock.

    Args:
        seconds: maximum time between two questions about a token; jitter takes off up to half of it.
        rng: makes the jitter, and chooses other users.
        now: the time.
    """

    def __init__(self, seconds: float, rng: random.Random, now: float) -> None:
        self._seconds = seconds
        self._rng = rng
        self._wheel: TimerWheel[bytes] = TimerWheel(tick=TICK_SECONDS, slots=256, now=now)
        self._watched: dict[bytes, _Watched] = {}
        self._suspects: dict[bytes, float] = {}  # token: when it was refused first
        self._condemned: set[bytes] = set()
        self._expired: set[bytes] = set()  # not in the wheel, unless Auth gives them more time
        self._group = ControlGroup(rng)

    def __repr__(self) -> str:
        return f"<Rechecks {len(self)} suspects={len(self._suspects)} condemned={len(self._condemned)}>"

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self._watched)

    def watch(self, digest: bytes, user_id: str, now: float, until: float = math.inf) -> None:
        """Ask about a token from now on; of a known one, only `until` changes.

        Args:
            digest: identifies the token.
            user_id: its user.
            now: the time.
            until: the time at which the token expires; Auth's answers say nothing new after it.
        """
        watched = self._watched.get(digest)
        if watched is not None:
            watched.until = until
            if digest in self._expired and until > now:
                self._expired.discard(digest)
                self._in_turn(digest, now)
            return
        self._watched[digest] = _Watched(user_id, until)
        self._group.add(user_id, digest)
        self._in_turn(digest, now)

    def forget(self, digest: bytes) -> None:
        """Forget a token; an unknown one is ignored."""
        watched = self._watched.pop(digest, None)
        if watched is not None:
            self._group.remove(watched.user_id, digest)
            self._wheel.cancel(digest)
            self._suspects.pop(digest, None)
            self._condemned.discard(digest)
            self._expired.discard(digest)

    def is_condemned(self, digest: bytes) -> bool:
        """Tell whether the sessions of a token are still to be ended."""
        return digest in self._condemned

    def due(self, now: float, most: int) -> list[bytes]:
        """Return at most `most` tokens to ask about now; `answered` must be called for each of them."""
        found = []
        for digest in self._wheel.due(now, most):
            if self._watched[digest].until > now:
                found.append(digest)
            else:
                self._expired.add(digest)
        return found

    def answered(self, digest: bytes, answer: Answer, now: float) -> Decision | None:
        """Take Auth's answer about a token; return the decision, if there is one now."""
        watched = self._watched.get(digest)
        if watched is None:
            return None  # its last session has ended
        if watched.until <= now:
            self._clear(digest, now)
            return None
        since = self._suspects.get(digest)
        if answer is Answer.NONE:
            if since is not None:
                self._wheel.schedule(digest, now + CONFIRM_SECONDS)
            else:
                self._in_turn(digest, now)
            return None
        if digest in self._condemned and answer is Answer.REFUSED:
            self._in_turn(digest, now)
            return Decision(condemned=True)
        if since is None:
            self._group.note(watched.user_id, now, refused=answer is Answer.REFUSED)
        if answer is Answer.VALID:
            self._clear(digest, now)
            return None
        if since is None:
            self._suspects[digest] = now
            self._wait(digest, watched.user_id, now, now)
            return None
        if now < since + CONFIRM_SECONDS:
            return None  # the answer to a question that was asked before, so it is not a second refusal
        return self._judge(digest, watched.user_id, since, now)

    def _judge(self, digest: bytes, user_id: str, since: float, now: float) -> Decision | None:
        opinion = self._group.opinion(user_id, since)
        if not opinion.enough:
            self._wait(digest, user_id, since, now)
            return None
        if opinion.doubtful:
            # What Auth says now proves nothing about any token.
            for suspect in [*self._suspects, *self._condemned]:
                self._clear(suspect, now)
            return Decision(condemned=False, refused=opinion.refused, asked=opinion.asked)
        self._clear(digest, now)
        self._condemned.add(digest)
        return Decision(condemned=True, refused=opinion.refused, asked=opinion.asked)

    def _wait(self, digest: bytes, user_id: str, since: float, now: float) -> None:
        """Ask about a suspect again soon, and about other users before that."""
        self._wheel.schedule(digest, now + CONFIRM_SECONDS)
        for other in self._group.choose(user_id, since, now, may_ask=self._is_clear):
            self._wheel.schedule(other, now + self._rng.uniform(0, CONFIRM_SECONDS - 1))

    def _clear(self, digest: bytes, now: float) -> None:
        """Hold nothing against a token any more."""
        self._suspects.pop(digest, None)
        self._condemned.discard(digest)
        self._in_turn(digest, now)

    def _is_clear(self, digest: bytes) -> bool:
        return digest not in self._suspects and digest not in self._condemned

    def _in_turn(self, digest: bytes, now: float) -> None:
        self._wheel.schedule(digest, now + self._seconds * self._rng.uniform(0.5, 1))
