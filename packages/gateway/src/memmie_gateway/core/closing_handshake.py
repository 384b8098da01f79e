"""The closing handshake of two joined connections (RFC 6455 §7), as one state machine over both sides.

A side is *open* until a Close frame travels; `sent` when the gateway has written one to it, `received` when it has
sent one itself, `done` when both happened, `lost` when its TCP connection is gone. What an event does to a side
is one table, what the gateway then owes is read off the new states. The shell carries the steps out.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from memmie_gateway.core.closing import Blame, Cause, Side


class State(enum.Enum):
    """How far the closing handshake with one side has come."""

    OPEN = "open"
    SENT = "sent"
    RECEIVED = "received"
    DONE = "done"
    LOST = "lost"


class Event(enum.Enum):
    """What can happen to a side."""

    SEND = "the gateway writes a Close frame to it"
    RECEIVE = "it sends a Close frame"
    LOSE = "its TCP connection ends"


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.OPEN: {Event.SEND: State.SENT, Event.RECEIVE: State.RECEIVED, Event.LOSE: State.LOST},
    State.SENT: {Event.RECEIVE: State.DONE, Event.LOSE: State.LOST},
    State.RECEIVED: {Event.SEND: State.DONE, Event.LOSE: State.LOST},
    State.DONE: {Event.LOSE: State.LOST},
    State.LOST: {},
}
"""Events that are not listed for a state change nothing."""


@dataclass(frozen=True, slots=True)
class Say:
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
        self._state = {Side.CLIENT: State.OPEN, Side.STUDIO: State.OPEN}
        self.cause: Cause | None = None
        self.code = 1005
        self.reason = ""

    def __repr__(self) -> str:
        client, studio = self._state.values()
        return f"<ClosingHandshake client={client.value} studio={studio.value} cause={self.cause}>"

    @property
    def begun(self) -> bool:
        """Whether anything of the end has happened."""
        return self.cause is not None

    @property
    def finished(self) -> bool:
        """Whether both TCP connections are gone."""
        return all(state is State.LOST for state in self._state.values())

    def state(self, side: Side) -> State:
        """Return how far the handshake with `side` has come."""
        return self._state[side]

    def may_write(self, side: Side) -> bool:
        """Tell whether data may still be forwarded to `side`: nothing follows a Close frame."""
        return self._state[side] in (State.OPEN, State.RECEIVED)

    def received(self, side: Side, code: int, reason: str) -> list[Step]:
        """`side` sent a Close frame: pass it on, unless the other side was already told."""
        self._begin(Cause.CLIENT_CLOSED if side is Side.CLIENT else Cause.STUDIO_CLOSED, code, reason)
        self._received_codes[side] = code
        self._advance(side, Event.RECEIVE)
        steps: list[Step] = []
        if self.may_write(side.other):
            self._advance(side.other, Event.SEND)
            steps.append(Say(side.other, code, reason, forward=True))
        return steps + self._shut_done()

    def lost(self, side: Side) -> list[Step]:
        """The TCP connection to `side` ended: tell the other side, or answer the Close it waits for an answer to."""
        cause = Cause.CLIENT_GONE if side is Side.CLIENT else Cause.STUDIO_GONE
        self._begin(cause, 1006, cause.ending.words)
        self._advance(side, Event.LOSE)
        return self._tell((side.other,), cause, cause.ending.words) + self._shut_done()

    def end(self, cause: Cause, reason: str) -> list[Step]:
        """The gateway ends the connection: tell the sides that were not told yet.

        An end that is nobody's fault is told to the client alone. What the client sent before it read that still
        reaches Studio, and its answer, passed on, ends the other half.
        """
        self._begin(cause, cause.close_code, reason)
        gently = cause.ending.by is Blame.GATEWAY and self._state[Side.CLIENT] is State.OPEN
        sides = (Side.CLIENT,) if gently else (Side.CLIENT, Side.STUDIO)
        return self._tell(sides, cause, reason) + self._shut_done()

    def expire(self) -> list[Step]:
        """The deadline of the handshake has passed: say what is still owed and close what is not closed."""
        self._begin(Cause.CLOSE_LATE, 1006, "")
        steps = self._tell((Side.CLIENT, Side.STUDIO), Cause.CLOSE_LATE, "")
        return steps + [Shut(side) for side, state in self._state.items() if state is not State.LOST]

    def _begin(self, cause: Cause, code: int, reason: str) -> None:
        if self.cause is None:
            self.cause, self.code, self.reason = cause, code, reason

    def _advance(self, side: Side, event: Event) -> None:
        self._state[side] = TRANSITIONS[self._state[side]].get(event, self._state[side])

    def _tell(self, sides: tuple[Side, ...], cause: Cause, reason: str) -> list[Step]:
        steps: list[Step] = []
        for side in sides:
            if not self.may_write(side):
                continue
            if self._state[side] is State.RECEIVED:
                # It asked to close and waits for the echo; RFC 6455 §5.5.1 echoes the code received.
                steps.append(Say(side, self._received_codes[side], ""))
            else:
                code = cause.close_code if side is Side.CLIENT else cause.ending.to_studio
                steps.append(Say(side, code, reason))
            self._advance(side, Event.SEND)
        return steps

    def _shut_done(self) -> list[Step]:
        return [Shut(side) for side, state in self._state.items() if state is State.DONE]
