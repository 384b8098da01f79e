"""The settings of the HTTP routes; see `settings`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from memmie_gateway.app.setting_types import (
    CommaSeparated,
    Count,
    PositiveCount,
    PositiveSeconds,
    Rate,
)
from memmie_gateway.core.http.routes import HttpRoute, RouteTable
from memmie_gateway.net.http1.url import without_secrets


class HttpSettings(BaseModel):
    """The settings of the HTTP routes."""

    model_config = ConfigDict(defer_build=True)  # no validators yet, because only `Settings` is made

    http_routes: CommaSeparated = Field(
        ("/api=studio:/api", "/auth=auth:/api/v1/auth:open"),
        description="HTTP paths that are forwarded, comma separated. `/api=studio:/api` forwards `/api/x` to `/api/x` of the user's "
        "backend, and needs a token; `/auth=auth:/api/v1/auth:open` forwards `/auth/x` to `/api/v1/auth/x` of Auth, without a token. "
        "`studio` is host and port of the URLs in STUDIO_WS_URLS; there are no other services than `studio` and `auth`. "
        "Your value replaces the default, so repeat its routes if you need them. "
        "If it is set, but empty, no HTTP requests are forwarded.",
    )
    http_max_body_bytes: Count = Field(
        10_485_760,
        description="Maximum size of the body of a forwarded request in bytes; 0 for no limit. A larger body gets 413.",
    )
    http_body_seconds: PositiveSeconds = Field(
        60,
        description="Maximum time in seconds until the body of a forwarded request is complete. After that the client gets 408.",
    )
    http_idle_seconds: PositiveSeconds = Field(
        60,
        description="Maximum time in seconds in which nothing of a forwarded request and its answer moves. "
        "After that the client gets 504, or 408 if it did not send the rest of its request; an answer that has begun is cut. "
        "It does not apply to a stream of events, unless the client takes nothing.",
    )
    http_total_seconds: PositiveSeconds = Field(
        600,
        description="Maximum time in seconds for a forwarded request and its answer. "
        "After that the client gets 504, or the answer is cut. It does not apply to a stream of events.",
    )
    http_live_seconds: PositiveSeconds = Field(
        30,
        description="Time in seconds after which an answer of a backend that is still streaming is a live connection. "
        "It then counts for MAX_CONNECTIONS_PER_IP and MAX_CONNECTIONS_PER_USER, and is cut for the same reasons as a WebSocket. "
        "Before this time, it is not cut when its token expires.",
    )
    http_connections_per_ip: Count = Field(
        64,
        description="Maximum number of forwarded requests at the same time from one address; 0 for no limit. Further ones get 429.",
    )
    http_rate_per_ip: Rate = Field(
        100,
        description="Maximum number of forwarded requests per second from one address, with a token; 0 for no limit. Further ones get 429. "
        "They do not count for CONNECT_RATE_PER_IP.",
    )
    http_burst_per_ip: PositiveCount = Field(
        400, description="Number of such requests that one address may send in a short time."
    )
    http_rate_per_user: Rate = Field(
        50,
        description="Maximum number of forwarded requests per second of one user; 0 for no limit. Further ones get 429.",
    )
    http_burst_per_user: PositiveCount = Field(
        200, description="Number of forwarded requests that one user may send in a short time."
    )
    http_open_rate_per_ip: Rate = Field(
        5,
        description="Maximum number of requests per second from one address for routes that need no token; 0 for no limit. Further ones get 429.",
    )
    http_open_burst_per_ip: PositiveCount = Field(
        20,
        description="Number of requests that one address may send in a short time for routes that need no token.",
    )

    @field_validator("http_routes")
    @classmethod
    def _http_routes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        prefixes: list[str] = []
        for text in value:
            try:
                prefixes.append(HttpRoute.parse(text).prefix)
            except ValueError as error:
                raise ValueError(f"{without_secrets(text)!r} {error}") from None
            if prefixes[-1] in prefixes[:-1]:
                raise ValueError(f"two routes have the prefix {prefixes[-1] or '/'}")
        return value

    @property
    def routes(self) -> RouteTable:
        """The HTTP routes, parsed."""
        return RouteTable(map(HttpRoute.parse, self.http_routes))
