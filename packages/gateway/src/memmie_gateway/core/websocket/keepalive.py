"""Keepalive and idle time-out: when to ping a side, and when to end a session (RFC 6455 §5.5.2)."""

from __future__ import annotations

import enum


class Advice(enum.Enum):
    """The action for a side."""

    NOTHING = "nothing"
    PING = "ping"
    GIVE_UP = "give up"


class Keepalive:
    """Detects a silent side from its counters, which are compared at intervals.

    Args:
        interval: seconds without data after which a side is pinged; 0 switches pings off.
        timeout: seconds after a ping until which a sign of life must come.
        now: seconds of a monotonic clock.
    """

    __slots__ = ("_heard", "_interval", "_since", "_taken", "_timeout", "_waiting")

    def __init__(self, *, interval: float, timeout: float, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._heard = 0
        self._taken = 0
        self._since = now  # the time of the last sign of life, or of the last ping
        self._waiting = False

    def __repr__(self) -> str:
        return f"<Keepalive since={self._since} waiting={self._waiting}>"

    def look(
        self, now: float, *, heard: int, taken: int, backlog: bool, deaf: bool, may_ping: bool
    ) -> Advice:
        """Return the action for a side from the changes since the last call.

        Args:
            now: seconds.
            heard: number of bytes received from the side.
            taken: number of bytes that the side's TCP has acknowledged. This alone is not a sign of life, because the
                kernel of a frozen process also acknowledges data until its buffer is full.
            backlog: whether data waits to be sent to the side. A slow reader answers a ping only after it has read
                everything before it. So it counts as alive while its backlog becomes smaller.
            deaf: whether the gateway does not read from the side now; its silence then proves nothing.
            may_ping: whether the stream to the side is between two frames.
        """
        if not self._interval:
            return Advice.NOTHING
        if heard != self._heard:
            self._waiting = False
            self._since = now
        elif (backlog and taken != self._taken) or (deaf and not backlog):
            self._since = now
        self._heard, self._taken = heard, taken
        silent = now - self._since
        if self._waiting:
            return Advice.GIVE_UP if silent >= self._timeout else Advice.NOTHING
        if silent < self._interval or not (may_ping or backlog):
            return Advice.NOTHING
        # Inside a frame no ping can be sent. A side that receives nothing then gets the same time-out without a ping.
        self._waiting = True
        self._since = now
        return Advice.PING if may_ping else Advice.NOTHING


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
