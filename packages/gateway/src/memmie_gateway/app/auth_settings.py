"""The settings of tokens, and of the service Auth that validates them; see `settings`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from memmie_gateway.app.setting_types import Count, PositiveCount, PositiveSeconds, Seconds
from memmie_gateway.net.auth.question import AuthUrl


class AuthSettings(BaseModel):
    """The settings of tokens, and of Auth."""

    model_config = ConfigDict(defer_build=True)  # no validators yet, because only `Settings` is made

    auth_url: str = Field("http://localhost:8001", description="Base URL of the Auth service.")
    auth_timeout_seconds: PositiveSeconds = Field(
        5,
        description="Maximum time in seconds until Auth answers. After that the client gets 503. "
        "It is also the maximum time for which a request to Auth waits for a free connection.",
    )
    auth_cache_seconds: Seconds = Field(
        60,
        description="Time in seconds for which the gateway caches Auth's answer about a valid token. "
        "The cached answer is never used after the token has expired.",
    )
    auth_refusal_cache_seconds: Seconds = Field(
        5,
        description="Time in seconds for which the gateway caches Auth's answer about an invalid token, "
        "and an answer that cannot be used.",
    )
    auth_cache_size: PositiveCount = Field(
        10_000,
        description="Maximum number of valid tokens in the cache, and of invalid ones. "
        "The least recently used token is removed first.",
    )
    auth_max_connections: PositiveCount = Field(
        50,
        description="Maximum number of connections to Auth. "
        "The tokens of one client address use at most half of them.",
    )
    auth_keepalive: bool = Field(
        default=True,
        description="Use connections to Auth for more than one request. "
        "If false, every request has its own connection, which costs more.",
    )
    auth_stale_seconds: Seconds = Field(
        600,
        description="Time in seconds for which the gateway still uses Auth's last answer about a valid token "
        "after AUTH_CACHE_SECONDS, while Auth fails; 0 for never. "
        "The last answer is never used after the token has expired.",
    )
    auth_breaker_failures: Count = Field(
        5,
        description="Number of failures of Auth within 10 seconds that open its circuit breaker; 0 disables the breaker. "
        "The failures must affect at least three client addresses, and at least half of those whose tokens were sent to Auth.",
    )
    auth_breaker_seconds: PositiveSeconds = Field(
        1,
        description="Time in seconds between two checks whether Auth works again, while its circuit breaker is open. "
        "Until then only known users can connect (see AUTH_STALE_SECONDS); other clients get 503.",
    )
    auth_recheck_seconds: Seconds = Field(
        0,
        description="Time in seconds within which the gateway asks Auth again about the token of each live connection; "
        "0 for never. If Auth refuses the token twice, the gateway closes the connection with 4401.",
    )
    token_end: Literal["close", "keep"] = Field(
        "close",
        description="What happens to a live connection when its token expires: "
        "`close` closes it with 4401, `keep` keeps it open. A streaming answer over HTTP is live after HTTP_LIVE_SECONDS.",
    )
    token_leeway_seconds: Seconds = Field(
        0,
        description="Time in seconds for which a token stays valid after it has expired, "
        "because the clocks of Auth and the gateway may differ.",
    )
    max_token_bytes: PositiveCount = Field(
        4096,
        description="Maximum length of a token in bytes. A client with a longer token gets 401 `token_too_long`, "
        "and Auth is not asked. The token must also fit into MAX_HEAD_BYTES.",
    )
    first_message_auth: bool = Field(
        default=False,
        description='If the handshake has no token, accept the token in the first message, `{"type":"auth",…}`.',
    )
    first_message_seconds: PositiveSeconds = Field(
        5,
        description="Maximum time in seconds until the first message with the token arrives; see FIRST_MESSAGE_AUTH. "
        "With Socket.IO: until CONNECT arrives. After that the gateway closes the connection with 1008.",
    )

    @field_validator("auth_url")
    @classmethod
    def _auth(cls, value: str) -> str:
        AuthUrl.parse(value)
        return value.rstrip("/")
