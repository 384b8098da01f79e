"""The connections of a client with numbered messages: what it needs of one, and what it remembers of each."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

NO_CLOSE_FRAME = 1006
"""What a client takes for the code where the connection ended without a Close frame (RFC 6455 §7.1.5)."""


class Connection(Protocol):
    """What a client needs of its connection; a connection of `websockets` has it."""

    @property
    def close_code(self) -> int | None:
        """How it was closed; `None` while it lives."""

    @property
    def close_reason(self) -> str | None:
        """Why it was closed; `None` while it lives."""

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Return the messages until the end."""

    async def send(self, message: str, /) -> None:
        """Send a message."""

    async def close(self) -> None:
        """Close the connection."""


Connect = Callable[..., Awaitable[Connection]]
"""Opens a connection, with the arguments of `memmie_harness.client.connect`, and with its exceptions."""


@dataclass
class Life:
    """One connection of a client, from its opening to its end; times are `time.monotonic` seconds.

    Attributes:
        opened: When the upgrade was answered.
        sent: Numbers in the order they were sent.
        acknowledged: Numbers in the order their acks came.
        first_ack: When the first ack came; ``None`` if none has.
        slowest: The longest an ack took, in seconds.
        round_trips: How long each ack took, in seconds, in the order they came.
        ended: When the client knew of the end; ``None`` while it lives.
        code: The close code; `NO_CLOSE_FRAME` where none was received.
        reason: The close reason.
        url: The WebSocket address it was opened at.
        studio: The Studio that answered, if its acks have `data.studio`; empty if not.
        unsure: How many of the last messages of `sent` may not have left, because the connection ended at that moment.
        left: Whether the client itself closed it.
    """

    opened: float
    sent: list[int] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    first_ack: float | None = None
    slowest: float = 0.0
    round_trips: list[float] = field(default_factory=list)
    ended: float | None = None
    code: int | None = None
    reason: str = ""
    url: str = ""
    studio: str = ""
    unsure: int = 0
    left: bool = False

    @property
    def close(self) -> tuple[int | None, str]:
        """Code and reason."""
        return self.code, self.reason

    def end(self, connection: Connection) -> None:
        """Note that it ends now, and how, if that is known yet; a client that is cancelled learns it later or never."""
        self.ended = time.monotonic()
        self.note_close(connection)

    def note_close(self, connection: Connection) -> None:
        """Note how it was closed."""
        self.code = connection.close_code
        self.reason = connection.close_reason or ""


@dataclass(frozen=True)
class Refusal:
    """An attempt to connect that failed; `status` 0 where there was no HTTP answer."""

    at: float
    status: int
    words: str
