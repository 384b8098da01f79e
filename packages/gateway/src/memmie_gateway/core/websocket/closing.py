"""The closing handshake of two joined connections (RFC 6455 §7), as one state machine over both sides.

A side is *open* until a Close frame travels; `sent` when the gateway has written one to it, `received` when it has
sent one itself, `done` when both happened, `lost` when its TCP connection is gone. What an event does to a side
is one table, what the gateway then owes is read off the new states. The shell carries the steps out.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, NamedTuple

from memmie_gateway.core.outcomes import Blame, Cause, Side


class State(enum.Enum):
    """How far the closing handshake with one side has come."""

    OPEN = "open"
    SENT = "sent"
    RECEIVED = "received"
    DONE = "done"
    LOST = "lost"

    __hash__ = object.__hash__  # by identity; that of Enum hashes the name, in Python


class Event(enum.Enum):
    """What can happen to a side."""

    SEND = "the gateway writes a Close frame to it"
    RECEIVE = "it sends a Close frame"
    LOSE = "its TCP connection ends"

    __hash__ = object.__hash__


# Looking up a member of an Enum is a function call on Python 3.11, and all of this runs for every connection.
_CLIENT, _BACKEND = Side
_OPEN, _SENT, _RECEIVED, _DONE, _LOST = State
_SEND, _RECEIVE, _LOSE = Event

_WRITABLE: Final = frozenset({_OPEN, _RECEIVED})

TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    _OPEN: {_SEND: _SENT, _RECEIVE: _RECEIVED, _LOSE: _LOST},
    _SENT: {_RECEIVE: _DONE, _LOSE: _LOST},
    _RECEIVED: {_SEND: _DONE, _LOSE: _LOST},
    _DONE: {_LOSE: _LOST},
    _LOST: {},
}
"""Events that are not listed for a state change nothing."""


class Say(NamedTuple):
    """Write a Close frame to `side`: the one just received from the other side where `forward`, else a new one."""

    side: Side
    code: int
    reason: str
    forward: bool = False


@dataclass(frozen=True, slots=True)
class Shut:
    """Close the TCP connection to `side` once what was written has left."""

    side: Side


Step = Say | Shut

_SHUT: Final = {side: Shut(side) for side in Side}


class ClosingHandshake:
    """Decides what is owed to whom from the first sign of an end until both TCP connections are gone.

    Attributes:
        cause: why the connection ends; set by the first event, and never changed after.
        code: the close code that tells of it: as received or as first sent, 1006 where a connection was lost.
        reason: the reason that goes with it.
    """

    __slots__ = ("_received_codes", "_state", "cause", "code", "reason")

    def __init__(self) -> None:
        self._received_codes: dict[Side, int] = {}
        self._state = {_CLIENT: _OPEN, _BACKEND: _OPEN}
        self.cause: Cause | None = None
        self.code = 1005
        self.reason = ""

    def __repr__(self) -> str:
        client, backend = self._state.values()
        return f"<ClosingHandshake client={client.value} backend={backend.value} cause={self.cause}>"

    @property
    def begun(self) -> bool:
        """Whether anything of the end has happened."""
        return self.cause is not None

    @property
    def finished(self) -> bool:
        """Whether both TCP connections are gone."""
        return self._state[_CLIENT] is self._state[_BACKEND] is _LOST

    def state(self, side: Side) -> State:
        """Return how far the handshake with `side` has come."""
        return self._state[side]

    def may_write(self, side: Side) -> bool:
        """Tell whether data may still be forwarded to `side`: nothing follows a Close frame."""
        return self._state[side] in _WRITABLE

    def received(self, side: Side, code: int, reason: str) -> list[Step]:
        """`side` sent a Close frame: pass it on, unless the other side was already told."""
        self._begin(Cause.CLIENT_CLOSED if side is _CLIENT else Cause.BACKEND_CLOSED, code, reason)
        self._received_codes[side] = code
        self._advance(side, _RECEIVE)
        steps: list[Step] = []
        if self.may_write(side.other):
            self._advance(side.other, _SEND)
            steps.append(Say(side.other, code, reason, forward=True))
        return steps + self._shut_done()

    def lost(self, side: Side) -> list[Step]:
        """The TCP connection to `side` ended: tell the other side, or answer the Close it waits for an answer to."""
        cause = Cause.CLIENT_GONE if side is _CLIENT else Cause.BACKEND_GONE
        self._begin(cause, 1006, cause.ending.words)
        self._advance(side, _LOSE)
        return self._tell((side.other,), cause, cause.ending.words) + self._shut_done()

    def end(self, cause: Cause, reason: str) -> list[Step]:
        """The gateway ends the connection: tell the sides that were not told yet.

        An end that is nobody's fault is told to the client alone. What the client sent before it read that still
        reaches Studio, and its answer, passed on, ends the other half.
        """
        self._begin(cause, cause.close_code, reason)
        gently = cause.ending.by is Blame.GATEWAY and self._state[_CLIENT] is _OPEN
        sides = (_CLIENT,) if gently else (_CLIENT, _BACKEND)
        return self._tell(sides, cause, reason) + self._shut_done()

    def expire(self) -> list[Step]:
        """The deadline of the handshake has passed: say what is still owed and close what is not closed."""
        self._begin(Cause.CLOSE_LATE, 1006, "")
        steps = self._tell((_CLIENT, _BACKEND), Cause.CLOSE_LATE, "")
        return steps + [_SHUT[side] for side, state in self._state.items() if state is not _LOST]

    def _begin(self, cause: Cause, code: int, reason: str) -> None:
        if self.cause is None:
            self.cause, self.code, self.reason = cause, code, reason

    def _advance(self, side: Side, event: Event) -> None:
        state = self._state[side]
        self._state[side] = TRANSITIONS[state].get(event, state)

    def _tell(self, sides: tuple[Side, ...], cause: Cause, reason: str) -> list[Step]:
        steps: list[Step] = []
        for side in sides:
            if not self.may_write(side):
                continue
            if self._state[side] is _RECEIVED:
                # It asked to close and waits for the echo; RFC 6455 §5.5.1 echoes the code received.
                steps.append(Say(side, self._received_codes[side], ""))
            else:
                code = cause.close_code if side is _CLIENT else cause.ending.to_backend
                steps.append(Say(side, code, reason))
            self._advance(side, _SEND)
        return steps

    def _shut_done(self) -> list[Step]:
        if _DONE not in self._state.values():
            return []
        return [_SHUT[side] for side, state in self._state.items() if state is _DONE]
