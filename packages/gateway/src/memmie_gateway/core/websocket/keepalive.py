"""When to ping a silent side, when to give it up (RFC 6455 §5.5.2), and when a session has been idle for too long."""

from __future__ import annotations

import enum


class Advice(enum.Enum):
    """What to do about a side now."""

    NOTHING = "nothing"
    PING = "ping"
    GIVE_UP = "give up"


class Keepalive:
    """Watches one side, looking at its counters now and then instead of at every byte.

    Args:
        interval: seconds of silence after which a side is pinged; 0 switches pings off.
        timeout: seconds after a ping within which a sign of life must come.
        now: seconds, any clock that does not go back.
    """

    __slots__ = ("_heard", "_interval", "_since", "_taken", "_timeout", "_waiting")

    def __init__(self, *, interval: float, timeout: float, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._heard = 0
        self._taken = 0
        self._since = now  # of the last sign of life, or of the ping that waits for one
        self._waiting = False

    def __repr__(self) -> str:
        return f"<Keepalive since={self._since} waiting={self._waiting}>"

    def look(
        self, now: float, *, heard: int, taken: int, backlog: bool, deaf: bool, may_ping: bool
    ) -> Advice:
        """Judge a side by what has changed since the last look.

        Args:
            now: seconds.
            heard: bytes received from it so far.
            taken: bytes its end of the connection has acknowledged so far. That alone is no sign of life, as
                the kernel of a frozen process acknowledges, too, until its buffer is full.
            backlog: more waits to be sent to it. A slow reader answers a ping only when it has read what is
                before it: as long as it works the backlog off, it is alive.
            deaf: the gateway is not reading from it at present, so its silence proves nothing.
            may_ping: the stream to it stands between two frames.
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
        # In the middle of a frame no ping can be sent; a side that takes nothing then has just as long all the same.
        self._waiting = True
        self._since = now
        return Advice.PING if may_ping else Advice.NOTHING


class Idleness:
    """Watches for a session without data, looking at its counters now and then instead of at every byte.

    Args:
        seconds: how long a session may be without data in either direction; 0 for no limit.
        now: seconds, any clock that does not go back.
    """

    __slots__ = ("_data_bytes", "_seconds", "_since")

    def __init__(self, *, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._data_bytes = 0
        self._since = now  # of the last look that saw data

    def __repr__(self) -> str:
        return f"<Idleness since={self._since}>"

    def exceeded(self, now: float, *, received: int, control: int) -> bool:
        """Whether there was no data for too long.

        Args:
            now: seconds.
            received: bytes received from both sides so far.
            control: how many of them belonged to control frames: pings and pongs are sent by programs that have
                nothing to say, so they do not keep a session. The bytes of a message count as they come.
        """
        data_bytes = received - control
        if data_bytes != self._data_bytes:
            self._data_bytes, self._since = data_bytes, now
            return False
        return bool(self._seconds) and now - self._since >= self._seconds
