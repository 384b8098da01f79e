"""The closing handshake of both connections of a session (RFC 6455 §7), as one state machine.

A side is `open` at first. It is `sent` when the gateway has written a Close frame to it, `received` when it has sent one
itself, `done` when both have happened, and `lost` when its TCP connection is gone. Two tables define how Close frames
change these states. The new states determine what the gateway must do next, which is returned as steps for the session.

A Close frame must not be written inside another frame. If a frame to that side is incomplete, the Close waits for its
end (`frame_ended`). If the rest of the frame will never come, the connection is aborted, because nothing valid can be
sent inside a frame.

A side that caused the end, for example by a violation of the protocol, is told last. The other side gets its Close frame
at once, and what it still sends is forwarded until its own Close frame.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from memmie_gateway.core.outcomes import Blame, Cause, Side
from memmie_gateway.core.websocket.closing_steps import Abort, Finish, HangUp, Say, Shut, Step
from memmie_gateway.core.websocket.control_frames import MAX_CONTROL_PAYLOAD


class State(enum.Enum):
    """The state of the closing handshake with one side."""

    OPEN = "open"
    SENT = "sent"
    RECEIVED = "received"
    DONE = "done"
    LOST = "lost"

    __hash__ = object.__hash__  # by identity; that of Enum hashes the name, in Python


class Flow(enum.Enum):
    """The position of the stream of bytes to a side, relative to frames."""

    BETWEEN = "between two frames"
    INSIDE = "inside a frame, the rest of which may still come"
    BROKEN = "inside a frame, the rest of which will never come"

    __hash__ = object.__hash__


Flows = Mapping[Side, Flow]
"""The position of the stream to each side."""

# Looking up a member of an Enum is a function call on Python 3.11, and all of this runs for every connection.
_CLIENT, _BACKEND = Side
_OPEN, _SENT, _RECEIVED, _DONE, _LOST = State
_BETWEEN, _INSIDE, _BROKEN = Flow

_WRITABLE: Final = frozenset({_OPEN, _RECEIVED})

AFTER_SEND: Final = {_OPEN: _SENT, _SENT: _SENT, _RECEIVED: _DONE, _DONE: _DONE, _LOST: _LOST}
"""The state after the gateway has written a Close frame to a side."""

AFTER_RECEIVE: Final = {_OPEN: _RECEIVED, _SENT: _DONE, _RECEIVED: _RECEIVED, _DONE: _DONE, _LOST: _LOST}
"""The state after a side has sent a Close frame."""

_CLOSED_BY: Final = {_CLIENT: Cause.CLIENT_CLOSED, _BACKEND: Cause.BACKEND_CLOSED}

_MAX_CLOSE_BYTES: Final = MAX_CONTROL_PAYLOAD + 6

_SHUT: Final = {side: Shut(side) for side in Side}

_GUILTY: Final = {Blame.CLIENT: _CLIENT, Blame.BACKEND: _BACKEND}
"""The side that is told last."""


class ClosingHandshake:
    """Decides which frames are sent to which side, from the first event of the end until both TCP connections are gone.

    Attributes:
        cause: why the connection ends; set by the first event and never changed.
        code: the close code of the first event: the one received or sent first, or 1006 if a connection was lost.
        reason: the close reason that belongs to `code`.
    """

    __slots__ = (
        "_backlog",
        "_client_code",
        "_last",
        "_received_codes",
        "_state",
        "_unreadable",
        "_waiting",
        "cause",
        "code",
        "reason",
    )

    def __init__(self) -> None:
        self._received_codes: dict[Side, int] = {}
        self._state = {_CLIENT: _OPEN, _BACKEND: _OPEN}
        self._waiting: dict[Side, Say] = {}  # Close frames that wait for the end of the frame under way
        self._last: Say | None = None  # for the side that is told last
        self._unreadable: set[Side] = set()  # sides whose answer cannot be recognised, after a violation
        self._backlog = 0  # at the last call of `progresses`
        self._client_code = 0  # 0 for no Close frame, 1005 for one without a code
        self.cause: Cause | None = None
        self.code = 1005
        self.reason = ""

    def __repr__(self) -> str:
        client, backend = self._state.values()
        return f"<ClosingHandshake client={client.value} backend={backend.value} cause={self.cause}>"

    @property
    def begun(self) -> bool:
        """Whether the closing has begun."""
        return self.cause is not None

    @property
    def finished(self) -> bool:
        """Whether both TCP connections are gone."""
        return self._state[_CLIENT] is self._state[_BACKEND] is _LOST

    @property
    def client_code(self) -> int | None:
        """The code of the first Close frame between gateway and client, in either direction; None for no code."""
        return self._client_code if self._client_code not in (0, 1005) else None

    def state(self, side: Side) -> State:
        """Return the state of the handshake with `side`."""
        return self._state[side]

    def may_write(self, side: Side) -> bool:
        """Whether data may still be forwarded to `side`; nothing may follow a Close frame."""
        return self._state[side] in _WRITABLE

    def owes_close(self, side: Side) -> bool:
        """Whether `side` has sent a Close frame that is still to be answered (RFC 6455 §5.5.1)."""
        return self._state[side] is _RECEIVED

    # Events. Each returns the steps that the session must carry out now.

    def received(self, side: Side, code: int, reason: str) -> list[Step]:
        """`side` sent a Close frame: forward it, unless the other side already has one, or is to get one of its own."""
        if self.cause is None:
            self._begin(_CLOSED_BY[side], code, reason)
        self._received_codes[side] = code
        states, other = self._state, side.other
        states[side] = AFTER_RECEIVE[states[side]]
        if side is _CLIENT and not self._client_code:
            self._client_code = code
        steps: list[Step] = []
        if states[other] in _WRITABLE:
            # The Close frame came between two frames, so the stream to the other side is between two frames, too.
            states[other] = AFTER_SEND[states[other]]
            self._say(self._own_close(other) or Say(other, code, reason, forward=True), steps)
        if _DONE in states.values():
            self._shut_done(steps)
        return steps

    def frame_ended(self, side: Side) -> list[Step]:
        """The frame from `side` is complete: write the Close frame to the other side that waited for this, if any."""
        steps: list[Step] = []
        if (say := self._waiting.pop(side.other, None)) is not None:
            self._say(say, steps)
            self._shut_done(steps)
        return steps

    def lost(self, side: Side, cause: Cause, *, inside_frame: bool) -> list[Step]:
        """The TCP connection to `side` ended: close the other side, or answer its Close frame.

        Args:
            side: the lost side.
            cause: why the session ends, if it is not ending already.
            inside_frame: whether the last frame from `side` is incomplete.
        """
        if self.cause is None:
            self._begin(cause, 1006, cause.ending.words)
        states, other = self._state, side.other
        states[side] = _LOST
        steps: list[Step] = []
        if self._waiting:
            self._waiting.pop(side, None)
            if self._waiting.pop(other, None) is not None:
                steps.append(Abort(other))  # the rest of the frame will never come
        if states[other] in _WRITABLE:
            flows = {other: _BROKEN if inside_frame else _BETWEEN}
            self._tell((other,), cause, cause.ending.words, flows, steps)
            self._shut_done(steps)
        return steps

    def end(self, cause: Cause, reason: str, flows: Flows) -> list[Step]:
        """The gateway ends the connection: send Close frames to the sides that have none yet.

        If one side caused the end, the other side is told now. The side that caused it is told after the other one's Close
        frame, or at once if nothing more can come from the other one.

        If the gateway itself caused the end, only the client gets a Close frame at first. Messages that it sent before it
        read this frame still reach the backend. The client's answer is then forwarded, and closes the backend's side.
        """
        self._begin(cause, cause.close_code, reason)
        guilty = _GUILTY.get(cause.ending.by)
        if guilty is not None:
            if self._last is None and self.may_write(guilty):
                self._last = Say.new(guilty, cause, reason)
            sides: tuple[Side, ...] = (guilty.other, guilty)
        elif cause.ending.by is Blame.GATEWAY and self._state[_CLIENT] is _OPEN:
            sides = (_CLIENT,)
        else:
            sides = (_CLIENT, _BACKEND)
        return self._shut_done(self._tell(sides, cause, reason, flows, []))

    def give_up(self, side: Side, cause: Cause, reason: str, flows: Flows) -> list[Step]:
        """End the connection because `side` violates the protocol: once it is told, do not wait for its answer."""
        told = self._state[side] is _SENT and side not in self._waiting
        self._unreadable.add(side)
        steps = self.end(cause, reason, flows)
        return [*steps, HangUp(side)] if told else steps

    def drop(self, side: Side, cause: Cause, *, inside_frame: bool) -> list[Step]:
        """End the connection because `side` is dead: it gets no Close frame, and the other side is told at once.

        Args:
            side: the dead side.
            cause: why the session ends.
            inside_frame: whether the last frame from the dead side is incomplete.
        """
        self._begin(cause, cause.close_code if side is _BACKEND else 1006, cause.ending.words)
        self._state[side] = AFTER_SEND[
            self._state[side]
        ]  # nothing may be written to it, as after a Close frame
        flows = {side.other: _BROKEN if inside_frame else _BETWEEN}
        return self._shut_done(self._tell((side.other,), cause, cause.ending.words, flows, [Abort(side)]))

    def progresses(self, backlog: int) -> bool:
        """Whether a slow reader makes progress, so that the deadline is extended.

        Args:
            backlog: bytes that the slower side has not received yet. At the first deadline it counts as progress if it
                is more than a Close frame, which a side that is gone does not receive either. At later deadlines it
                must have become smaller.
        """
        progress = 0 < backlog < self._backlog if self._backlog else backlog > _MAX_CLOSE_BYTES
        self._backlog = backlog
        return progress

    def expire(self, flows: Flows) -> list[Step]:
        """The deadline of the handshake has passed: send the missing Close frames, and close both connections."""
        self._begin(Cause.CLOSE_LATE, 1006, "")
        last = self._last.side if self._last is not None and self.may_write(self._last.side) else None
        if last is not None:
            self._unreadable.update(Side)  # no Close frame is awaited any more
        steps = self._tell((_CLIENT, _BACKEND), Cause.CLOSE_LATE, "", flows, [])
        for side, state in self._state.items():
            if self._waiting.pop(side, None) is not None:
                steps.append(Abort(side))  # the end of the frame did not come in time
            elif state is not _LOST and side is not last:
                steps.append(_SHUT[side])
        return steps

    def _begin(self, cause: Cause, code: int, reason: str) -> None:
        if self.cause is None:
            self.cause, self.code, self.reason = cause, code, reason

    def _tell(
        self, sides: tuple[Side, ...], cause: Cause, reason: str, flows: Flows, steps: list[Step]
    ) -> list[Step]:
        """Add the steps that tell these sides, unless they have a Close frame or are lost."""
        for side in sides:
            if not self.may_write(side):
                continue
            own = self._own_close(side)
            if own is not None:
                if self._state[side.other] is _SENT and side.other not in self._unreadable:
                    continue  # the other side may still send something for it
                say = own
            elif self._state[side] is _RECEIVED:
                # It has sent a Close frame and waits for the answer, which repeats its code (RFC 6455 §5.5.1).
                say = Say(side, self._received_codes[side], "")
            else:
                say = Say.new(side, cause, reason)
            self._state[side] = AFTER_SEND[self._state[side]]
            flow = flows[side]
            if flow is _BETWEEN:
                self._say(say, steps)
            elif flow is _INSIDE:
                self._waiting[side] = say
                steps.append(Finish(side.other))
            else:
                steps.append(Abort(side))
        return steps

    def _own_close(self, side: Side) -> Say | None:
        return self._last if self._last is not None and self._last.side is side else None

    def _say(self, say: Say, steps: list[Step]) -> None:
        """Add the steps that write a Close frame now."""
        side = say.side
        if side is _CLIENT and not self._client_code:
            self._client_code = say.code
        steps.append(say)
        if side in self._unreadable:
            steps.append(HangUp(side))

    def _shut_done(self, steps: list[Step]) -> list[Step]:
        """Add the steps that close the connections with a complete handshake."""
        for side, state in self._state.items():
            if state is _DONE and side not in self._waiting:
                steps.append(_SHUT[side])
        return steps
