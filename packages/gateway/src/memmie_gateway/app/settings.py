"""Settings, read from the environment (spec §7). Each field is one variable and one row of docs/settings.md.

The settings of Auth, of the backends and of the HTTP routes have files of their own.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator

from memmie_gateway.app.auth_settings import AuthSettings
from memmie_gateway.app.backend_settings import BackendSettings
from memmie_gateway.app.environment import variables
from memmie_gateway.app.http_settings import HttpSettings
from memmie_gateway.app.setting_errors import explain, why_no_network
from memmie_gateway.app.setting_types import (
    CommaSeparated,
    Count,
    PositiveCount,
    PositiveSeconds,
    Rate,
    Seconds,
)
from memmie_gateway.core.http.client_address import Network
from memmie_gateway.core.http.origins import Origin
from memmie_gateway.core.sessions.evictions import Mode
from memmie_gateway.net.http1.url import without_secrets

_NEAR = 0.9
"""How similar a variable must be to a setting to count as misspelt, from 0 to 1. About one letter in ten may differ."""


class Settings(AuthSettings, BackendSettings, HttpSettings):
    """All settings of the gateway. The field `x_y` is the variable `X_Y`."""

    model_config = ConfigDict(
        frozen=True, validate_default=True, hide_input_in_errors=True, defer_build=False
    )

    # Listener
    host: str = Field(
        "0.0.0.0",  # noqa: S104 - a server's default
        description="Address to listen on; `0.0.0.0` is every IPv4 address, `::` is every IPv6 and IPv4 address.",
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free port.")
    websocket_enabled: bool = Field(
        default=True, description="Accept WebSockets. If false, every WebSocket gets 503."
    )
    socketio: Literal["translate", "passthrough", "off"] = Field(
        "translate",
        description="What the gateway does with clients that speak Socket.IO, at `/socket.io/`: `translate` translates between "
        "their events and the JSON messages of Studio, `passthrough` connects them to a Studio that speaks Socket.IO itself, "
        "`off` refuses them with 404.",
    )
    polling: bool = Field(
        default=True,
        description="Accept HTTP long-polling as a transport of Socket.IO, and its upgrade to WebSocket, "
        "with `SOCKETIO=translate` and with `SOCKETIO=passthrough`. If false, clients must use `transports: ['websocket']`.",
    )
    max_connections: PositiveCount = Field(
        10_000,
        description="Maximum number of open connections of all kinds. Further WebSockets get 503. "
        "Up to 64 more connections are accepted, for requests such as `/health`.",
    )
    max_head_bytes: int = Field(
        16_384,
        ge=1024,
        le=1 << 20,
        description="Maximum size of a request head in bytes. A request with a larger head gets 431, "
        "and one with a URL that is larger than this gets 414.",
    )
    max_headers: PositiveCount = Field(
        100, description="Maximum number of header fields in a request. A request with more fields gets 431."
    )
    head_seconds: PositiveSeconds = Field(
        10,
        description="Maximum time in seconds until a request head is complete. After that the client gets 408. "
        "The same time applies to the body of `POST /token/renew`.",
    )
    trusted_proxies: CommaSeparated = Field(
        (),
        description="Networks of your proxies in CIDR notation, comma separated. "
        "The gateway accepts X-Forwarded-* headers only from these networks.",
    )
    allowed_origins: CommaSeparated = Field(
        ("*",),
        description=(
            "Origins of web pages that may connect, comma separated, such as `https://app.example.com` or "
            "`https://*.example.com`. Scheme, host and port must be the same; `*.` stands for any subdomain. "
            "Other origins get 403. `*` allows every origin. "
            "Do not use `*` if browsers add cookies or client certificates to the handshake."
        ),
    )
    browser_refusals: bool = Field(
        default=False,
        description="Tell a web page why it is refused. The gateway then accepts the WebSocket of a page and closes it at once, "
        "with 4000 + the HTTP status as the code, and with the cause as the reason. "
        "Limits by address, a full gateway and a gateway that shuts down still answer with an HTTP status. "
        "It does not apply to Socket.IO.",
    )

    # Limits
    max_connections_per_ip: Count = Field(
        10,
        description="Maximum number of WebSockets from one IPv4 address or IPv6 /64; 0 for no limit. "
        "Further WebSockets get 429. A second limit applies to connections that wait for the answer to their request: "
        "one address may have MAX_CONNECTIONS_PER_IP + 16 of them. If MAX_CONNECTIONS_PER_IP is 0, both limits are off.",
    )
    max_connections_per_user: Count = Field(
        5,
        description="Maximum number of WebSockets of one user; 0 for no limit. Further WebSockets get 429. "
        "But a WebSocket that has not answered a ping for 5 seconds is replaced by a new one.",
    )
    connect_rate_per_ip: Rate = Field(
        10,
        description="Maximum number of handshakes and HTTP requests per second from one address; 0 for no limit. "
        "Further ones get 429. `/health` and `/ready` are each free up to 20 requests per second.",
    )
    connect_burst_per_ip: PositiveCount = Field(
        50,
        description="Number of handshakes and HTTP requests that one address may send in a short time, even if this is faster than "
        "CONNECT_RATE_PER_IP.",
    )
    message_rate_per_user: Rate = Field(
        100,
        description="Maximum number of frames per second from one user, over all connections; 0 for no limit. "
        "A message has one frame or more, and every frame counts. "
        "If a user sends faster, the messages wait, and the gateway reads more slowly from this user.",
    )
    message_burst_per_user: PositiveCount = Field(
        200,
        description="Number of frames that one user may send in a short time, even if this is faster than "
        "MESSAGE_RATE_PER_USER. After a pause it may be twice as many.",
    )
    message_rate_max_delay_seconds: PositiveSeconds = Field(
        30,
        description="Maximum time in seconds for which messages of a user that sends too fast may wait in the gateway. "
        "If the gateway has read so many that some would wait longer, it drops what waits and closes the connection with 1008.",
    )
    max_message_bytes: int = Field(
        1_048_576,
        ge=125,
        le=1 << 31,
        description="Maximum size of a message in bytes, over all fragments. "
        "After a larger message the gateway closes the connection with 1009.",
    )

    # Sessions
    ws_timeout_seconds: Seconds = Field(
        300,
        description="Maximum time in seconds without a message; 0 for no limit. "
        "If neither side sends a message for this time, the gateway closes the connection with 1001.",
    )
    ping_interval_seconds: Seconds = Field(
        20,
        description="Time in seconds after which the gateway pings a client or backend that sends no data; 0 for no pings.",
    )
    ping_timeout_seconds: PositiveSeconds = Field(
        20,
        description="Maximum time in seconds until a client or backend answers a ping, "
        "or takes some of the bytes that wait for it. After that the gateway ends the connection.",
    )
    close_timeout_seconds: PositiveSeconds = Field(
        5,
        description="Maximum time in seconds for a closing handshake. After that the gateway aborts the connection.",
    )
    write_buffer_bytes: int = Field(
        65_536,
        ge=1024,
        le=1 << 26,
        description="Number of bytes that the gateway buffers for a slow receiver. If more bytes wait, the gateway stops reading from the sender.",
    )
    evictions: Mode = Field(
        Mode.ACT,
        description="What the gateway does when evidence shows that a live connection must end, such as an unanswered ping: "
        "`act` ends it, `observe` only counts and logs it, `off` does nothing. "
        "With `observe` and `off`, dead connections stay open and count for the limits. "
        "This setting does not apply to expired tokens, protocol violations, limits and shutdown.",
    )
    evict_per_second: Rate = Field(
        500,
        description="Maximum number of connections per second that the gateway ends on evidence (see EVICTIONS); "
        "0 for no limit.",
    )
    drain_seconds: Seconds = Field(
        10,
        description="Time in seconds in which the gateway closes its live connections after SIGTERM, one after the other. "
        "A container needs a stop timeout longer than DRAIN_SECONDS + CLOSE_TIMEOUT_SECONDS.",
    )

    # Logs and metrics
    metrics_cache_seconds: Seconds = Field(
        1,
        description="Time in seconds for which the text of `/metrics` is used again; 0 makes a new one for every request.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto",
        description="Format of the log: `json`, `console` or `auto`. `auto` means `console` on a terminal and `json` elsewhere.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level that the gateway logs: `debug`, `info`, `warning` or `error`."
    )

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from a mapping such as the process's environment (see `environment.variables`).

        Raises:
            SettingsError: A value is invalid.
        """
        given = variables(environment)
        values = {name: given[name.upper()] for name in cls.model_fields if name.upper() in given}
        try:
            return cls(**values)  # text, which pydantic converts
        except ValidationError as error:
            raise explain(error, values, cls.model_fields) from None

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise ValueError(f"{without_secrets(text)!r} {why_no_network(text)}") from None
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if text not in ("*", "null") and Origin.parse(text) is None:
                shown = without_secrets(text)
                raise ValueError(f"{shown!r} is not an origin such as https://app.example.com")
        return value

    @property
    def trusted_networks(self) -> tuple[Network, ...]:
        """The trusted proxies, parsed."""
        return tuple(ipaddress.ip_network(text) for text in self.trusted_proxies)


def misspelt(environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables that look like misspelt settings, each with the setting that is probably meant.

    An environment has many variables that belong to other programs, so only close matches are returned.
    """
    known = {name.upper() for name in Settings.model_fields}
    near = {
        name: difflib.get_close_matches(name.upper(), known, n=1, cutoff=_NEAR)
        for name in environment
        if name.upper() not in known
    }
    return {name: matches[0] for name, matches in near.items() if matches}
