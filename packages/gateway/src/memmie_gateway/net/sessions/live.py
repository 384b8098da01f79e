"""What sessions and live HTTP responses have in common: they are connections of a user, and end for the same reasons."""

from __future__ import annotations

from typing import Protocol

from memmie_gateway.core.limits import HeldSlots
from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.net.backends.backend import Backend, Traffic
from memmie_gateway.net.sessions.options import SessionInfo


class Live(Protocol):
    """A live connection of a user.

    Attributes:
        info: the data that identify it.
        started: the loop's time at the start, in seconds.
        slots: its places under the limits.
    """

    info: SessionInfo
    started: float
    slots: HeldSlots

    @property
    def backend(self) -> Backend:
        """The backend of the connection now."""

    @property
    def closing(self) -> object | None:
        """Anything but None while the connection is ending."""

    @property
    def between_messages(self) -> bool:
        """Whether it can be moved now without cutting a message."""

    def traffic(self) -> Traffic:
        """Return the traffic of its WebSocket, since it is on this backend."""

    def describe(self) -> dict[str, object]:
        """Return its data for the log."""

    def end(self, cause: Cause) -> None:
        """End it."""

    def abort(self) -> None:
        """End it at once, without telling anybody."""

    def drop(self, side: Side, cause: Cause) -> None:
        """End it because one side is dead."""

    def ping_backend(self) -> bool:
        """Ping the backend; return whether that was possible."""

    def unanswered(self) -> float:
        """Return the seconds for which the client has not answered a ping, 0 for none."""
