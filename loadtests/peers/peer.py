"""What the benchmark has to know of a gateway to measure it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Stage:
    """What a peer is started with.

    Attributes:
        backend_url: the WebSocket URL it has to forward to.
        auth_url: base URL of Auth (spec §2), for a peer that asks one.
        connections: the most that will be open at once.
        cores: where it may run; None for anywhere.
    """

    backend_url: str
    auth_url: str
    connections: int
    cores: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A peer that is running.

    Attributes:
        url: the WebSocket URL clients connect to.
        pids: all its processes; none where there is nothing to measure.
    """

    url: str
    pids: tuple[int, ...]


class Peer(ABC):
    """A gateway to be measured, or none.

    Attributes:
        name: what it is called on the command line and in tables.
        about: what it is and does, in half a line.
        asks_auth: whether it lets nobody in without asking Auth whose the token is.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    asks_auth: ClassVar[bool] = False

    @abstractmethod
    def start(self, stage: Stage) -> AbstractAsyncContextManager[Endpoint]:
        """Run it for the length of a `with` block; a LoadTestError says why it does not start."""

    def headers(self, token: str) -> dict[str, str]:
        """Return what a client adds to its handshake to be let in; nothing where nobody asks."""
        return {"Authorization": f"Bearer {token}"} if self.asks_auth else {}

    def version(self) -> str:
        """Return which version is installed, of it or of what it is built on; "" where nobody tells."""
        return ""

    def missing(self) -> str:
        """Say what is not installed, and how to get it; "" where nothing is missing."""
        return ""
