"""What a client sent faster than its message rate allows: it waits here, and reading is paused meanwhile (spec §8)."""

from __future__ import annotations

import asyncio
from typing import Final

from memmie_gateway.core.limits import TokenBucket
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.websocket.held import HeldBytes, cut
from memmie_gateway.net.sessions.kernel import ended_by_peer
from memmie_gateway.net.sessions.leg import PEER_FULL, TOO_FAST, Leg

WATCH_SECONDS: Final = 1.0
"""Maximum time until a client that has closed its connection is noticed, because nobody reads from it meanwhile."""

SHORTEST_WAIT: Final = 0.002
"""Minimum time between two turns, however fast the quota is."""

_NEVER: Final = float("inf")


class HeldBack:
    """Holds back what exceeds the quota of one client, and forwards it at the pace of the quota.

    Chunks are cut between two frames, so the gateway can still insert frames of its own, and the scanner of the leg knows
    only what was forwarded.

    Args:
        leg: the leg of the client.
        bucket: the quota of its user, which other connections may share.
    """

    __slots__ = ("_bucket", "_bytes", "_deadline", "_leg", "_loop", "_lost", "_timer", "_watch_at")

    def __init__(self, leg: Leg, bucket: TokenBucket) -> None:
        self._leg = leg
        self._bucket = bucket
        self._bytes = HeldBytes()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None  # while the leg waits
        self._watch_at = 0.0
        self._deadline = _NEVER  # for what waits, after the client has closed its connection
        self._lost: tuple[Exception | None] | None = None  # why the connection was lost, if it was

    def __repr__(self) -> str:
        return f"<HeldBack {self._bytes!r}>"

    @property
    def has_bytes(self) -> bool:
        """Whether bytes wait."""
        return bool(self._bytes)

    # What comes.

    def start(self, early: bytes) -> bool:
        """Hold back the early bytes of a new connection, and do not read from it, if its user is in debt.

        Returns:
            Whether the user is in debt: another connection waits, or no token is left.
        """
        bucket = self._bucket
        bucket.settle(self._loop.time())
        if bucket.left >= 1 and not bucket.waiting:
            return False
        self._hold(early)
        return True

    def admit(self, data: bytes) -> bytes:
        """Return what of the next bytes the quota allows now, up to the end of a frame, and hold back the rest."""
        bucket = self._bucket
        bucket.settle(self._loop.time())
        start, uncounted = self._leg.scanner.under_way(data)  # a frame that has begun is forwarded to its end
        at, _ = cut(data, start, bucket.left - uncounted)
        if at < len(data):
            self._hold(data[at:])
        return data[:at]

    def lose(self, exc: Exception | None) -> None:
        """Note that the connection is lost; the session is notified when what waits was forwarded."""
        self._lost = (exc,)
        self._expire_later(self._loop.time())
        backend = self._leg.owner.other(self._leg)
        backend.detach()
        backend.release(PEER_FULL)

    # What waits.

    def _hold(self, rest: bytes) -> None:
        """Let the rest wait, unless this would take too long."""
        self._leg.hold(TOO_FAST)
        self._bucket.waiting += 1
        at, frames = cut(rest, 0, self._bucket.within(self._leg.owner.options.rate_max_delay))
        self._bytes = HeldBytes(rest, frames)
        if at < len(rest):
            # Not now, because the leg forwards what the quota allows only after this.
            self._timer = self._loop.call_later(0, self._give_up)
        else:
            self._wait(self._loop.time())

    def _wait(self, now: float, share: int = 1) -> None:
        turn = self._bucket.next_turn(self._bytes.frames, share)
        delay = min(max(turn, SHORTEST_WAIT), WATCH_SECONDS, self._deadline - now)
        self._timer = self._loop.call_later(max(0.0, delay), self._turn)

    def _turn(self) -> None:
        """Forward what the quota allows now."""
        now = self._loop.time()
        share = self._bucket.share(now)
        if share:
            piece = self._bytes.take(share)
            if piece:
                self._leg.data_received(piece)
            if not self._bytes:
                self.flush()
                return
        self._watch(now)
        if now < self._deadline:
            self._wait(now, share)
            return
        self._bytes = HeldBytes()
        if self._lost is None:
            self._leg.transport.abort()
        self.flush()

    def _watch(self, now: float) -> None:
        """Notice that the client has closed its connection, which the loop does not while it does not read."""
        if now >= self._watch_at:
            self._watch_at = now + WATCH_SECONDS
            if ended_by_peer(self._leg.transport):
                self._expire_later(now)

    def _expire_later(self, now: float) -> None:
        self._deadline = min(self._deadline, now + self._leg.owner.options.rate_max_delay)

    # The end of waiting.

    def flush(self) -> None:
        """Forward at once what waits, and read again."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._bucket.waiting -= 1
        leg, rest = self._leg, self._bytes.take_all()
        leg.release(TOO_FAST)
        if rest:
            leg.data_received(rest)
        if self._lost is not None:
            self._loop.call_soon(leg.owner.lost, leg, *self._lost)

    def _give_up(self) -> None:
        """End the session, because what waits would take too long."""
        leg, rest = self._leg, self._bytes.take_all()
        leg.detach()
        leg.owner.end(Cause.MESSAGE_RATE)
        leg.data_received(rest)  # it is discarded, but the scanner recognises a Close frame in it
