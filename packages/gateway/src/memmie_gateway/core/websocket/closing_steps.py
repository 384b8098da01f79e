"""The steps of the closing handshake, which a session carries out."""

from __future__ import annotations

from dataclasses import dataclass

from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.record import record

_CLIENT, _ = Side  # looking up a member of an Enum is a function call (CPython 3.11)


@record
class Say:
    """Write a Close frame to `side`: with `forward` the one just received from the other side, otherwise a new one."""

    side: Side
    code: int
    reason: str
    forward: bool = False

    @classmethod
    def new(cls, side: Side, cause: Cause, reason: str) -> Say:
        """Return the step that writes a new Close frame with the code of a cause for `side`."""
        return cls(side, cause.close_code if side is _CLIENT else cause.ending.to_backend, reason)


@dataclass(frozen=True, slots=True)
class Finish:
    """Stop forwarding from `side`, except the rest of the current frame; after it, call `frame_ended`."""

    side: Side


@dataclass(frozen=True, slots=True)
class HangUp:
    """Send nothing more to `side`, but let it read what was already sent.

    Closing the connection while the side still sends would reset the connection, and the Close frame would be lost.
    """

    side: Side


@dataclass(frozen=True, slots=True)
class Shut:
    """Close the TCP connection to `side` after all buffered data is sent."""

    side: Side


@dataclass(frozen=True, slots=True)
class Abort:
    """Close the TCP connection to `side` at once."""

    side: Side


Step = Say | Finish | HangUp | Shut | Abort
