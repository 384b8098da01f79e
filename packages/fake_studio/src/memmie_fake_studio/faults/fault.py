"""Faults of a WebSocket connection: they act once the handshake is done, or some messages later."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memmie_fake_base.faults import Fault, at_least

if TYPE_CHECKING:
    from memmie_fake_studio.connection import Connection


@dataclass(frozen=True, kw_only=True)
class ConnectionFault(Fault):
    """Acts on an open connection.

    Attributes:
        after_messages: how many data messages are received and answered first; 0 acts at once.
    """

    after_messages: int = 0

    def __post_init__(self) -> None:
        at_least("after_messages", self.after_messages, 0)
        self.check()

    def check(self) -> None:
        """Raise ValueError for parameters out of range (a hook)."""

    @abstractmethod
    def act(self, connection: Connection) -> None:
        """Misbehave."""
