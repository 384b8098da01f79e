"""What the load process is asked, as one JSON object on its standard input; its answers are in `results`."""

from __future__ import annotations

from dataclasses import dataclass


class LoadError(Exception):
    """A connection failed or a message was lost: there is no result. The message says what and where."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the load goes to.

    Attributes:
        url: of the WebSocket.
        headers: of the handshakes, one dict per connection: whose connection it is.
        gateway_pids: the processes whose CPU and memory are measured; none for no gateway.
        backend_pids: the echo backend.
        auth_pids: whom the gateway asks about tokens.
        direct_url: the backend's own WebSocket, for what is compared with it message by message; "" for nothing.
    """

    url: str
    headers: list[dict[str, str]]
    gateway_pids: list[int]
    backend_pids: list[int]
    auth_pids: list[int]
    direct_url: str = ""

    def __repr__(self) -> str:
        """Leave out the headers: they hold tokens."""
        return f"<Target {self.url} connections={len(self.headers)}>"
