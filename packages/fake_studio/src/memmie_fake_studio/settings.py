"""The settings of a fake Studio; the defaults are those of spec §4."""

from __future__ import annotations

from dataclasses import dataclass

from memmie_fake_base.checks import at_least, more_than_zero


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioSettings:
    """Limits and behaviour of a fake Studio.

    Attributes:
        auth_url: the address of Auth, which validates HTTP tokens (spec §2); if empty, `X-User-ID` is trusted instead.
        behind_gateway: trust `X-User-ID` of a request without a token, because a gateway has validated and removed it.
        greeting: send `connected` when a WebSocket is open.
        echo: send every data frame on `/ws` straight back, as `/ws/echo` always does.
        subprotocols: the subprotocols that Studio speaks; the client's first among them is selected.
        compression: accept permessage-deflate (RFC 7692) if the client offers it.
        max_message_bytes: the largest WebSocket message (then Close 1009) and HTTP body (then 413).
        ping_interval_seconds: how often each client is pinged; 0 never.
        pong_timeout_seconds: how long a client may send no pong before it is disconnected; 0 has no limit.
        write_timeout_seconds: how long a client may read too slowly before it is disconnected.
        close_timeout_seconds: how long a closing handshake may take before the connection is aborted.
        queue_messages: how many events may wait for a slow client; one more disconnects it.
        auth_timeout_seconds: how long Auth may take to validate a token; then the answer is 503.
        log_messages: log every WebSocket message; turn it off for a test that sends very many.
        log_entries: how many log entries are kept; older ones are dropped.
        cors_origins: the origins of web pages that may use the HTTP routes, such as `http://localhost:5173`; `*` for all.
        max_items: how many blobs, buckets and books (each) are held; then the answer is 507.

    Raises:
        ValueError: a setting is out of range; the message says what is allowed.
    """

    auth_url: str = ""
    behind_gateway: bool = False
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
    cors_origins: tuple[str, ...] = ()
    max_items: int = 10_000

    def __post_init__(self) -> None:
        if self.auth_url and not self.auth_url.startswith(("http://", "https://")):
            raise ValueError(
                f"auth_url: {self.auth_url!r} is given; an http:// or https:// address is expected"
            )
        for name in ("ping_interval_seconds", "pong_timeout_seconds"):
            at_least(name, getattr(self, name), 0)
        for name in ("write_timeout_seconds", "close_timeout_seconds", "auth_timeout_seconds"):
            more_than_zero(name, getattr(self, name))
        for name in ("max_message_bytes", "queue_messages"):
            at_least(name, getattr(self, name), 1)
