"""Keepalive and idle time-out: when to ping a side, and when to end a session (RFC 6455 §5.5.2).

A side is alive if it answers pings, or sends bytes of a frame that is not complete yet, or takes some of the bytes that
wait for it. A side with a complete frame could have sent the pong before it, so the frame alone is not a sign of life.
Nor is it one that the side's TCP acknowledges a ping, because the kernel of a frozen process does this, too.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple


class Advice(enum.Enum):
    """The action for a side."""

    NOTHING = "nothing"
    PING = "ping"
    SILENT = "end it, because it does not answer a ping"
    STUCK = "end it, because it takes nothing of what waits for it"


class Times(NamedTuple):
    """The times of keepalive, in seconds.

    Attributes:
        interval: time without data after which a side is pinged; 0 switches keepalive off.
        timeout: time after a ping until which a sign of life must come.
    """

    interval: float
    timeout: float

    @property
    def between_looks(self) -> float:
        """Maximum time between two looks."""
        return min(self) / 2


class Signs(NamedTuple):
    """The facts about a side at one look.

    Attributes:
        heard: number of bytes received from the side.
        answers: a number that changes whenever the side answers a ping.
        inside_frame: whether the last frame from the side is incomplete.
        written: number of bytes written to the side.
        taken: number of these that the side's TCP has acknowledged.
        waiting: whether some of them wait in the gateway, because the kernel's buffer for the side is full.
        deaf: whether the gateway does not read from the side now; its silence then proves nothing.
        may_ping: whether the stream to the side is between two frames.
        quiet: returns the seconds since the last byte came, or infinity if that is unknown.
    """

    heard: int
    answers: int
    inside_frame: bool
    written: int
    taken: int
    waiting: bool
    deaf: bool
    may_ping: bool
    quiet: Callable[[], float]


class Keepalive:
    """Detects a dead side from its counters, which are compared at intervals.

    A counter that has changed says that something happened since the last look, not when. So the time of the last look
    counts, and only before a ping `Signs.quiet` has to tell the exact time.

    Args:
        times: the interval and the time-out.
        now: seconds of a monotonic clock.
    """

    __slots__ = (
        "_answers",
        "_heard",
        "_inside_frame",
        "_looked",
        "_ping_at",
        "_since",
        "_stuck_since",
        "_taken",
        "_times",
        "_waiting",
    )

    def __init__(self, times: Times, now: float) -> None:
        self._times = times
        self._answers = self._heard = self._taken = 0  # at the last look
        self._inside_frame = self._waiting = False  # at the last look
        self._looked = now
        self._since = now  # the time of the last sign of life, or of the ping that is not answered yet
        self._stuck_since = now  # the time from which on the side takes nothing
        # The position of the ping that is not answered yet in the stream to the side; -1 for none.
        self._ping_at = -1

    def __repr__(self) -> str:
        return f"<Keepalive since={self._since} pinged={self.pinged}>"

    @property
    def on(self) -> bool:
        """Whether sides are pinged at all."""
        return bool(self._times.interval)

    @property
    def pinged(self) -> bool:
        """Whether an answer to a ping is awaited."""
        return self._ping_at >= 0

    def unanswered(self, now: float) -> float:
        """Return the seconds for which a ping has been unanswered without another sign of life; 0 without a ping."""
        return now - self._since if self.pinged else 0.0

    def next_look(self, now: float) -> float:
        """Return the seconds until the next look; infinity if keepalive is off."""
        interval, timeout = self._times
        if not interval:
            return float("inf")
        left = (timeout if self.pinged else interval) - (now - self._since)
        if self._waiting:
            left = min(left, timeout - (now - self._stuck_since))
        often = self._times.between_looks
        if left <= 0:
            # A ping must wait for the end of a frame, or the end of the session for its turn.
            return often / 4
        return left if left < often * 1.5 else often

    def glance(self, now: float, heard: int) -> bool:
        """Look at a side that is read and for which nothing waits; return whether that was enough, as it usually is.

        It is not if the side owes an answer or a ping may be due; then the look is still to be made.

        Args:
            now: seconds.
            heard: number of bytes received from the side.
        """
        since = self._since if heard == self._heard else self._looked
        if self._ping_at >= 0 or self._waiting or now - since >= self._times.interval:
            return False
        self._since, self._heard, self._looked = since, heard, now
        return True

    def look(self, now: float, signs: Signs) -> Advice:
        """Return the action for a side from the changes since the last look.

        Args:
            now: seconds.
            signs: the facts about the side.
        """
        interval, timeout = self._times
        if not interval:
            return Advice.NOTHING
        moved = signs.taken > self._taken
        if moved or not (signs.waiting and self._waiting):
            self._stuck_since = now
        self._count_signs(now, signs, moved=moved)
        self._heard, self._answers, self._taken = signs.heard, signs.answers, signs.taken
        self._inside_frame, self._waiting = signs.inside_frame, signs.waiting
        self._looked = now
        silent = self.pinged and now - self._since >= timeout
        if signs.waiting:
            # A ping would be behind all that waits. So no pong can be expected, and taking some of it is the sign.
            return Advice.STUCK if silent or now - self._stuck_since >= timeout else Advice.NOTHING
        if self.pinged:
            return Advice.SILENT if silent else Advice.NOTHING
        if now - self._since < interval or not signs.may_ping:
            return Advice.NOTHING
        self._since = max(self._since, now - signs.quiet())
        return Advice.PING if now - self._since >= interval else Advice.NOTHING

    def _count_signs(self, now: float, signs: Signs, *, moved: bool) -> None:
        heard = signs.heard != self._heard
        if self.pinged and signs.answers != self._answers:
            self._ping_at = -1
            self._since = self._looked
        elif self.pinged and heard and (signs.inside_frame or self._inside_frame):
            self._since = now
        elif heard and not self.pinged:
            self._since = self._looked
        if signs.deaf:
            self._since = now
        # What was written before the ping counts as well: a slow reader answers only after it has read all of it.
        if self.pinged and moved and (signs.waiting or self._waiting or signs.taken < self._ping_at):
            self._since = now

    def ping_sent(self, position: int) -> None:
        """Note that a ping was sent since the last look.

        Args:
            position: number of bytes written to the side before it.
        """
        if self._times.interval:
            self._ping_at = position
            self._since = self._looked


class Idleness:
    """Detects a session without data from its counters, which are compared at intervals.

    Args:
        seconds: maximum time without data in either direction; 0 for no limit.
        now: seconds of a monotonic clock.
    """

    __slots__ = ("_data_bytes", "_seconds", "_since")

    def __init__(self, *, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._data_bytes = 0
        self._since = now  # the time of the last call with new data

    def __repr__(self) -> str:
        return f"<Idleness since={self._since}>"

    def next_look(self, now: float) -> float:
        """Return the seconds until the next look; infinity if there is no limit."""
        if not self._seconds:
            return float("inf")
        left = self._seconds - (now - self._since)
        often = self._seconds / 2
        return left if left < often * 1.5 else often

    def exceeded(self, now: float, *, received: int, control: int) -> bool:
        """Return whether the session has been without data for too long.

        Args:
            now: seconds.
            received: number of bytes received from both sides.
            control: number of these bytes in control frames. Pings and pongs are sent without anything to say, so they
                do not keep a session alive. Parts of a message count as soon as they arrive.
        """
        data_bytes = received - control
        if data_bytes != self._data_bytes:
            self._data_bytes, self._since = data_bytes, now
            return False
        return bool(self._seconds) and now - self._since >= self._seconds
