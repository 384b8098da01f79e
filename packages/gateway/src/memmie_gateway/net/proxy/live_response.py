"""A response that has been streaming for so long that it is a live connection, like a session (spec §8)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from memmie_gateway.core.limits import HeldSlots
from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.net.backends.backend import NO_TRAFFIC, Backend, Traffic
from memmie_gateway.net.sessions.options import SessionInfo

_KEEPALIVE: Final = (15, 5, 4)
"""Seconds of silence, seconds between probes, and number of probes, after which the kernel gives up a peer."""


def probe_peer(transport: asyncio.Transport) -> None:
    """Let the kernel notice a peer that is gone without a word, because nothing may be sent to it for long (Linux only)."""
    sock = transport.get_extra_info("socket")
    if sock is None or not hasattr(socket, "TCP_KEEPIDLE"):
        return
    idle, interval, probes = _KEEPALIVE
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, probes)


class LiveResponse:
    """A live response.

    Args:
        info: the data that identify it.
        backend: the backend that streams it.
        slots: its places under the limits of live connections.
        started: the loop's time at the start of its request, in seconds.
        cut: cuts it, because of this cause.

    Attributes: as given; `closing` is the cause of its end, None before it.
    """

    __slots__ = ("__weakref__", "_cut", "backend", "closing", "info", "slots", "started")

    def __init__(
        self,
        info: SessionInfo,
        backend: Backend,
        slots: HeldSlots,
        started: float,
        cut: Callable[[Cause], None],
    ) -> None:
        self.info = info
        self.backend = backend
        self.slots = slots
        self.started = started
        self.closing: Cause | None = None
        self._cut = cut

    def __repr__(self) -> str:
        return f"<LiveResponse {self.info.id}>"

    @property
    def between_messages(self) -> bool:
        """True, because the gateway does not know what a message is here."""
        return True

    def traffic(self) -> Traffic:
        """Return no traffic, because the counters are those of WebSockets."""
        return NO_TRAFFIC

    def describe(self) -> dict[str, object]:
        """Return its data for the log."""
        info = self.info
        return {
            "request_id": info.id,
            "user_id": info.identity.user_id,
            "address": info.client.address,
            "path": info.path,
            "backend": self.backend.name,
        }

    def end(self, cause: Cause) -> None:
        """Cut it."""
        if self.closing is None:
            self.closing = cause
            self._cut(cause)

    def abort(self) -> None:
        """Cut it, because the gateway stops."""
        self.end(Cause.DRAINING)

    def drop(self, _: Side, cause: Cause) -> None:
        """Cut it, because one side is dead."""
        self.end(cause)

    def ping_backend(self) -> bool:
        """Return False, because HTTP has no pings."""
        return False

    def unanswered(self) -> float:
        """Return 0, because no client owes an answer."""
        return 0.0
