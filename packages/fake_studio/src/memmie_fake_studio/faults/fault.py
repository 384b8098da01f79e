"""The base class of WebSocket faults, which act after the handshake or some messages later."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from memmie_fake_base.checks import at_least
from memmie_fake_base.faults import Fault
from memmie_fake_studio.connection import Connection


@dataclass(frozen=True, kw_only=True)
class ConnectionFault(Fault):
    """A fault that acts on an open connection.

    Attributes:
        after_messages: how many data messages are received and answered before it acts; 0 acts at once.
    """

    after_messages: int = 0

    def __post_init__(self) -> None:
        at_least("after_messages", self.after_messages, 0)
        self.check()

    def check(self) -> None:
        """Raise ValueError for a parameter that is out of range; does nothing unless overridden."""

    @abstractmethod
    def act(self, connection: Connection) -> None:
        """Misbehave on the connection."""
