"""A connection between two owners: its next owner finds all that was received meanwhile.

A client's connection has several owners in turn: the listener, which reads its head; a handover, while the client is
admitted; perhaps the reader of a first message; at last a leg of a session, or the HTTP server. A backend's connection
goes from the reader of its response to a leg.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any, Final, Protocol

MAX_EARLY: Final = 64 * 1024
"""Bytes that a peer may send before the next owner takes over; beyond, it is not read from until then."""

LINGER_SECONDS: Final = 2.0
"""How long a peer that may still be sending has to read the last words."""


class Holder(Protocol):
    """Counts a connection until it has an owner for good."""

    def taken(self) -> None:
        """The connection has another owner now."""

    def lost(self) -> None:
        """The connection was lost before that."""


class Handover(asyncio.Protocol):
    """Holds a connection until its next owner takes it.

    Args:
        transport: the connection.
        early: what was received so far and is for the next owner.
        holder: counts the connection meanwhile; None where nobody does.

    Attributes:
        transport: as given.
        task: what is done for the peer meanwhile, if that has to wait.
    """

    __slots__ = ("_early", "_ended", "_holder", "_timer", "task", "transport")

    def __init__(
        self, transport: asyncio.Transport, early: bytes = b"", holder: Holder | None = None
    ) -> None:
        self.transport = transport
        self._early = b""
        self._ended = False
        self._holder = holder
        self._timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self.give_back(early)

    def __repr__(self) -> str:
        return f"<Handover early={len(self._early)}{' ended' * self._ended}>"

    # Called by the loop.

    def data_received(self, data: bytes) -> None:
        """Keep what the peer sends early."""
        if self._ended:
            return
        self._early += data
        if len(self._early) > MAX_EARLY:
            self.transport.pause_reading()

    def connection_lost(self, _: Exception | None) -> None:
        """The peer left."""
        if self._timer is not None:
            self._timer.cancel()
        self.cancel()
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.lost()

    # Called by the owners.

    def start(self, rest: Coroutine[Any, Any, None]) -> None:
        """Run what has to wait as a task, which is cancelled if the connection is lost before it is taken."""
        self.task = asyncio.get_running_loop().create_task(rest)

    def cancel(self) -> None:
        """Cancel the task, if there is one."""
        task = self.task
        if task is None:
            return
        rest = task.get_coro()
        if asyncio.iscoroutine(rest) and inspect.getcoroutinestate(rest) == inspect.CORO_CREATED:
            # In the next turn of the loop: a task that is cancelled before it has begun gives nothing back.
            asyncio.get_running_loop().call_soon(task.cancel)
        else:
            # Now: by the next turn it might have gone on with an answer, for a client that has left.
            task.cancel()

    def lend(self, borrower: asyncio.BaseProtocol) -> bytes:
        """Let another protocol read until it calls `give_back`; return what was received so far.

        If the borrower loses the connection, it calls `connection_lost` here.
        """
        self.transport.set_protocol(borrower)
        early, self._early = self._early, b""
        return early

    def give_back(self, early: bytes) -> None:
        """Hold the connection again; `early` was received and not used."""
        self.transport.set_protocol(self)
        if early:
            self.data_received(early)

    def take(self, owner: asyncio.BaseProtocol) -> bytes:
        """Give the connection to its next owner for good; return what was received meanwhile.

        Reading may be paused; the owner resumes it when it is ready.
        """
        holder, self._holder = self._holder, None
        self.task = None
        if holder is not None:
            holder.taken()
        return self.lend(owner)

    def end(self, last_words: bytes, *, linger: bool = False) -> None:
        """Send the last words and end the connection.

        Args:
            last_words: a whole HTTP response, or a Close frame.
            linger: the peer may still be sending, so let it read them before the socket is closed. Closing it at
                once would reset the connection and lose them.
        """
        transport = self.transport
        self._ended = True
        self._early = b""
        transport.set_protocol(self)
        if transport.is_closing():
            return  # nobody is left to read them, and uvloop raises an error
        transport.write(last_words)
        if not linger:
            transport.close()
            return
        if transport.can_write_eof():
            transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.abort)
