"""What can be set on a fake Studio; the defaults are spec §4's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioSettings:
    """Limits and habits of a fake Studio.

    Attributes:
        auth_url: where HTTP tokens are validated (spec §2); empty trusts `X-User-ID` instead.
        greeting: send `connected` when a WebSocket opens (the older plan did).
        echo: send every data frame on `/ws` straight back, as `/ws/echo` always does.
        subprotocols: those Studio speaks; the client's first among them is selected.
        compression: accept permessage-deflate (RFC 7692) when offered.
        max_message_bytes: the largest WebSocket message (a larger one is closed 1009) and HTTP body (413).
        ping_interval_seconds: how often a client is pinged; 0 never.
        pong_timeout_seconds: a client that has sent no pong for so long is disconnected; 0 never.
        write_timeout_seconds: a client that lets its bytes wait for so long is disconnected.
        close_timeout_seconds: how long a close handshake may take before the connection is cut.
        queue_messages: events that may wait for a slow client; one more disconnects it.
        auth_timeout_seconds: how long Auth may take to validate a token before the answer is 503.
        log_messages: log every WebSocket message; switch it off where a test sends very many.
        log_entries: how many log entries are kept; older ones are forgotten.
        max_items: how many blobs, buckets and books (each) are held before the answer is 507.
    """

    auth_url: str = ""
    greeting: bool = False
    echo: bool = False
    subprotocols: tuple[str, ...] = ()
    compression: bool = True
    max_message_bytes: int = 1024 * 1024
    ping_interval_seconds: float = 54
    pong_timeout_seconds: float = 60
    write_timeout_seconds: float = 10
    close_timeout_seconds: float = 10
    queue_messages: int = 256
    auth_timeout_seconds: float = 5
    log_messages: bool = True
    log_entries: int = 10_000
    max_items: int = 10_000

    def __post_init__(self) -> None:
        if self.auth_url and not self.auth_url.startswith(("http://", "https://")):
            raise ValueError(f"auth_url: {self.auth_url!r} given, an http:// or https:// address is expected")
        for name in ("ping_interval_seconds", "pong_timeout_seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: {getattr(self, name)} given, 0 (never) or more allowed")
        for name in ("write_timeout_seconds", "close_timeout_seconds", "auth_timeout_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: {getattr(self, name)} given, more than 0 allowed")
        for name in ("max_message_bytes", "queue_messages"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} given, 1 or more allowed")
