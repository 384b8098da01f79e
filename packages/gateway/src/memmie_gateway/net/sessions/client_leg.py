"""The leg of the client, which also applies the message rate."""

from __future__ import annotations

import asyncio

from memmie_gateway.core.limits import TokenBucket
from memmie_gateway.core.outcomes import Side
from memmie_gateway.core.websocket.frames import FrameScanner
from memmie_gateway.core.websocket.held import SMALLEST_FRAME
from memmie_gateway.core.websocket.keepalive import Keepalive
from memmie_gateway.net.sessions.held import HeldBack
from memmie_gateway.net.sessions.leg import SAMPLE_EVERY, Leg

_CLIENT, _ = Side  # looking up a member of an Enum is a function call (CPython 3.11)


class ClientLeg(Leg):
    """The leg of the client: forwards as far as the quota of the user goes, and holds back the rest.

    Args:
        transport: the connection.
        scanner: the scanner of the stream from the client.
        keepalive: detects when the client is silent.
        bucket: the quota of the user; None for no limit.
    """

    __slots__ = ("_bucket", "_held", "_paid")

    def __init__(
        self,
        transport: asyncio.Transport,
        scanner: FrameScanner,
        keepalive: Keepalive,
        bucket: TokenBucket | None,
    ) -> None:
        super().__init__(_CLIENT, transport, scanner, keepalive)
        self._bucket = bucket
        self._held: HeldBack | None = None  # from the first time that the quota does not suffice
        self._paid = 0

    # The data path.

    def data_received(self, data: bytes) -> None:
        """Forward bytes to the backend, and take one token per frame; fragments and pings cost work, too."""
        if not self._sample_in:
            self._sample_in = SAMPLE_EVERY
            self.owner.measure(self)
        self._sample_in -= 1
        scanner = self.scanner
        bucket = self._bucket
        if (
            bucket is not None
            and len(data) >= bucket.left * SMALLEST_FRAME
            and (len(data) < bucket.quota.burst * SMALLEST_FRAME or not scanner.fits(data, bucket.left))
        ):
            data = (self._held or self._hold_back(bucket)).admit(data)
        onward = scanner.scan(data)
        if onward:
            write = self.write  # a slot that is called as a method is looked up the slow way (CPython 3.11)
            write(onward)
        if bucket is not None:
            frames_seen = scanner.messages + scanner.extra_frames
            bucket.left -= frames_seen - self._paid
            self._paid = frames_seen
        if scanner.ended:
            self.owner.stream_ended(self)

    def _hold_back(self, bucket: TokenBucket) -> HeldBack:
        held = self._held = HeldBack(self, bucket)
        return held

    # Called by the session.

    def start(self, early: bytes) -> None:
        """Start reading, unless the user is in debt; `early` are the bytes that were received before."""
        bucket = self._bucket
        in_doubt = bucket is not None and (bucket.waiting or bucket.left < 1)
        if bucket is None or not in_doubt or not self._hold_back(bucket).start(early):
            super().start(early)

    def lift_quota(self) -> None:
        """Forward at once what waits and what comes, because the session ends."""
        self._bucket = None
        if self._held is not None:
            self._held.flush()

    def leave(self) -> None:
        """Break the reference cycles, after both connections have ended."""
        super().leave()
        self._held = None

    def abort_if_bytes_wait(self) -> bool:
        """Abort the connection if bytes wait for the quota; they are forwarded before the session is notified.

        Returns:
            Whether bytes wait.
        """
        waits = self._held is not None and self._held.has_bytes
        if waits:
            self.transport.abort()
        return waits

    # Called by the loop.

    def connection_lost(self, exc: Exception | None) -> None:
        """The client's connection has ended; what waits is forwarded before the session is notified."""
        if self._held is not None and self._held.has_bytes:
            self._held.lose(exc)
        else:
            self.owner.lost(self, exc)
