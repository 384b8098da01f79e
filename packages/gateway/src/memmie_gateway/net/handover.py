"""The handover of a connection from one owner to the next, including the bytes received in between.

A client's connection has several owners in turn. The listener reads its head, and a handover holds the connection while
the client is admitted. The reader of a first message or of a body may borrow it meanwhile. Finally a leg of a session
takes it, or the handover sends the answer and ends it. A backend's connection goes from the HTTP connection that read its
response directly to a leg.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from memmie_gateway.net import clock

MAX_EARLY: Final = 64 * 1024
"""Maximum number of bytes to buffer until the next owner takes over; beyond this, reading is paused."""

LINGER_SECONDS: Final = 2.0
"""Maximum time in seconds for which a peer that has its answer may still be sending."""

ANSWER_SECONDS: Final = 10.0
"""Maximum time in seconds for a peer to take its answer."""


class Holder(Protocol):
    """Counts a connection until its final owner takes it."""

    def taken(self) -> None:
        """The connection has a final owner now."""

    def lost(self) -> None:
        """The connection was lost before it had a final owner."""


class Held(Protocol):
    """A connection that waits for its final owner."""

    @property
    def transport(self) -> asyncio.Transport:
        """The connection."""

    def take(self, owner: asyncio.BaseProtocol) -> bytes:
        """Give the connection to its final owner; return the bytes received meanwhile.

        Reading may be paused, so the owner must resume it.
        """


class Handover(asyncio.Protocol):
    """Holds a connection until its next owner takes it.

    Args:
        transport: the connection.
        early: bytes received so far that are for the next owner.
        holder: counts the connection until it is taken; None if it is not counted.

    Attributes:
        transport: as given.
        task: the task that serves the peer meanwhile, if it has to wait.
        answers_half_closed: whether a peer that has sent FIN still gets an answer. Otherwise it counts as gone, because a
            FIN is usually all that the gateway gets from a peer that has closed its socket.
    """

    __slots__ = (
        "_early",
        "_ended",
        "_half_closed",
        "_holder",
        "_timer",
        "answers_half_closed",
        "task",
        "transport",
    )

    def __init__(
        self, transport: asyncio.Transport, early: bytes = b"", holder: Holder | None = None
    ) -> None:
        self.transport = transport
        self._early = b""
        self._ended = False
        self._half_closed = False
        self._holder = holder
        self._timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self.answers_half_closed = False
        transport.set_protocol(self)
        if early:
            self.data_received(early)

    def __repr__(self) -> str:
        return f"<Handover early={len(self._early)}{' ended' * self._ended}>"

    # Called by the loop.

    def data_received(self, data: bytes) -> None:
        """Buffer the bytes for the next owner."""
        if self._ended:
            return
        self._early += data
        if len(self._early) > MAX_EARLY:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The peer sends nothing any more; return whether the connection stays open for the answer."""
        self._half_closed = True
        return self.answers_half_closed and not self._ended

    def connection_lost(self, _: Exception | None) -> None:
        """The connection is lost; cancel the task."""
        if self._timer is not None:
            self._timer.cancel()
        self.cancel()
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.lost()

    # Called by the owners.

    def start(self, rest: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task, which is cancelled if the connection is lost before it is taken."""
        self.task = asyncio.get_running_loop().create_task(rest)

    def cancel(self) -> None:
        """Cancel the task, if there is one."""
        task = self.task
        if task is None:
            return
        rest = task.get_coro()
        if asyncio.iscoroutine(rest) and inspect.getcoroutinestate(rest) == inspect.CORO_CREATED:
            # In the next turn of the loop, because a task that is cancelled before it has begun releases nothing.
            asyncio.get_running_loop().call_soon(task.cancel)
        else:
            # Immediately, because by the next turn the task might answer a client that has disconnected.
            task.cancel()

    def lend(self, borrower: asyncio.BaseProtocol) -> bytes:
        """Let another protocol read until it calls `give_back`; return the bytes received so far.

        If the connection is lost meanwhile, the borrower must call `connection_lost` of this handover.
        """
        self.transport.set_protocol(borrower)
        early, self._early = self._early, b""
        return early

    def give_back(self, early: bytes) -> None:
        """Hold the connection again; `early` are the bytes that the borrower received and did not use."""
        self.transport.set_protocol(self)
        if early:
            self.data_received(early)

    def take(self, owner: asyncio.BaseProtocol) -> bytes:
        """Give the connection to its final owner (see `Held`), for which it does not count any more."""
        holder, self._holder = self._holder, None
        self.task = None
        if holder is not None:
            holder.taken()
        self.transport.set_protocol(owner)
        early, self._early = self._early, b""
        return early

    def uncount(self) -> None:
        """Do not count the connection any more, although it has no final owner yet."""
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.taken()

    def end(self, last_words: bytes, *, linger: bool = False, at_most: float | None = None) -> None:
        """Send the last bytes and close the connection.

        Args:
            last_words: a complete HTTP response, or a Close frame.
            linger: whether the peer may still be sending. Then the socket stays open for a moment, because closing it
                immediately would reset the connection before the peer has read `last_words`.
            at_most: maximum time in seconds until the connection is closed; None for `ANSWER_SECONDS`.
        """
        transport = self.transport
        at_most = ANSWER_SECONDS if at_most is None else at_most
        self._ended = True
        self._early = b""
        transport.set_protocol(self)
        if transport.is_closing():
            return  # the peer cannot read them any more, and uvloop raises an error
        transport.write(last_words)
        if linger and not self._half_closed:
            self._wait(min(LINGER_SECONDS, at_most), max(0, at_most - LINGER_SECONDS))
            transport.resume_reading()  # it is paused if there were many early bytes
            finish_writing(transport)
        else:
            self._wait(at_most, 0)
            transport.close()

    def _wait(self, seconds: float, longer: float) -> None:
        """Wait for the end of the connection, and `longer` if the peer has not taken its answer by then."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self._late, clock.pauses(), longer)

    def _late(self, pauses: int, longer: float) -> None:
        if clock.pauses() != pauses:
            self._wait(LINGER_SECONDS, longer)  # the gateway itself was stopped
        elif longer and self.transport.get_write_buffer_size():
            self._wait(longer, 0)
        else:
            self.transport.abort()


def finish_writing(transport: asyncio.Transport) -> None:
    """Tell the peer that nothing follows, if the transport can; the peer may still be sending."""
    if not transport.can_write_eof():
        return
    try:
        transport.write_eof()
    except OSError:  # asyncio: the peer has reset the connection, and the loop has not noticed it yet
        transport.abort()
