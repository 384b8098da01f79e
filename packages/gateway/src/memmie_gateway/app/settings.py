"""Settings, read from the environment (spec §7). Each field is one variable and one row of docs/settings.md."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator

from memmie_gateway.app.environment import variables
from memmie_gateway.app.http_settings import (
    CommaSeparated,
    Count,
    HttpSettings,
    PositiveCount,
    PositiveSeconds,
    Rate,
    Seconds,
    split,
)
from memmie_gateway.app.setting_errors import explain, why_no_network
from memmie_gateway.core.backends.balancer import Strategy
from memmie_gateway.core.http.client_address import Network
from memmie_gateway.core.http.origins import Origin
from memmie_gateway.core.sessions.evictions import Mode
from memmie_gateway.net.auth.question import AuthUrl
from memmie_gateway.net.backends.backend import BackendUrl
from memmie_gateway.net.backends.health_check import HealthCheck, Kind
from memmie_gateway.net.http1.url import without_secrets

_NEAR = 0.9
"""How similar a variable must be to a setting to count as misspelt, from 0 to 1. About one letter in ten may differ."""

_PATH = re.compile(r"/[!\"$-~]*")  # no spaces, no fragment; may have a query


class Settings(HttpSettings):
    """All settings of the gateway. The field `x_y` is the variable `X_Y`."""

    model_config = ConfigDict(frozen=True, validate_default=True, hide_input_in_errors=True)

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

    # Auth
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

    # Backends
    studio_ws_urls: CommaSeparated = Field(
        ("ws://localhost:8010/ws",),
        description="WebSocket URLs of the backends, comma separated. A backend is an instance of your Studio.",
    )
    lb_strategy: Strategy = Field(
        Strategy.STICKY,
        description="How to choose a backend for a user without live connections. "
        "With every strategy, a user with live connections gets the backend of these connections.",
    )
    dial_timeout_seconds: PositiveSeconds = Field(
        5,
        description="Maximum time in seconds until one of the backends accepts the connection of a client. "
        "Each attempt may take half of the time that is left, and the last one all of it.",
    )
    health_interval_seconds: PositiveSeconds = Field(
        30,
        description="Time in seconds between health checks of a healthy backend. "
        "If its last health check or its last connection failed, HEALTH_RECOVERY_SECONDS applies instead.",
    )
    health_recovery_seconds: PositiveSeconds = Field(
        2,
        description="Time in seconds between health checks of an unhealthy backend. It also applies before the health "
        "of a backend is known, and after a failed health check or a failed connection.",
    )
    health_timeout_seconds: PositiveSeconds = Field(
        5, description="Maximum time in seconds for a health check."
    )
    health_rise: PositiveCount = Field(
        1, description="Number of consecutive successes that make an unhealthy backend healthy again."
    )
    health_fall: PositiveCount = Field(
        2, description="Number of consecutive failures that make a healthy backend unhealthy."
    )

    health_check: Kind = Field(
        Kind.WS,
        description="How to check the health of a backend: `ws` opens a WebSocket and sends a ping, "
        "`http` sends a GET request and expects a status below 400, `tcp` only connects, `off` checks nothing. "
        "With `off`, a backend is healthy until connections to it fail, and is tried again after HEALTH_RECOVERY_SECONDS.",
    )
    health_path: str = Field(
        "",
        description="Path of the health check on a backend, such as `/healthz`. "
        "If it is empty, the path is that of the backend's URL followed by `/health`. "
        "It applies only to HEALTH_CHECK=ws and HEALTH_CHECK=http.",
    )
    unhealthy_sessions: Literal["close", "keep"] = Field(
        "close",
        description="What happens to the live connections of a backend that is unhealthy and sends nothing any more, "
        "if another backend is healthy: `close` closes them with 1012, `keep` keeps them open.",
    )
    outlier_ejection: bool = Field(
        default=True,
        description="Send no new connections for a while to a backend that passes its health checks "
        "but breaks the connections of many users.",
    )
    slow_start_seconds: Seconds = Field(
        10,
        description="Time in seconds in which a backend that has returned gets fewer new connections than the others; "
        "0 for never. It applies only to LB_STRATEGY=least_connections. "
        "With LB_STRATEGY=sticky, no user is moved to the backend in this time.",
    )
    rebalance: Literal["split", "home", "off"] = Field(
        "split",
        description="Which connections the gateway moves to another backend, with LB_STRATEGY=sticky: "
        "`split` moves the connections of a user who has connections on several backends, "
        "`home` also moves users back to a backend that was away and has returned, `off` moves none. "
        "Use `home` if several gateways serve the same users. A move closes the connection with 1012.",
    )
    rebalance_after_seconds: Seconds = Field(
        30,
        description="Time in seconds for which a returned backend must be healthy before users move back to it; "
        "see REBALANCE.",
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

    @field_validator("trusted_proxies", "allowed_origins", "studio_ws_urls", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split(value)

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

    @field_validator("health_path")
    @classmethod
    def _path(cls, value: str) -> str:
        if value and not _PATH.fullmatch(value):
            raise ValueError(f"{without_secrets(value)!r} is not a path such as /healthz")
        return value

    @field_validator("studio_ws_urls")
    @classmethod
    def _backends(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("at least one URL is needed")
        for number, url in enumerate(value, start=1):
            try:
                BackendUrl.parse(url)
            except ValueError as error:
                which = f"URL number {number}: " if len(value) > 1 else ""
                raise ValueError(f"{which}{error}") from None
        for number, url in enumerate(value):
            if url in value[:number]:
                raise ValueError(f"a URL is listed twice, as number {value.index(url) + 1} and {number + 1}")
        return value

    @field_validator("auth_url")
    @classmethod
    def _auth(cls, value: str) -> str:
        AuthUrl.parse(value)
        return value.rstrip("/")

    @property
    def checks(self) -> HealthCheck:
        """How backends are checked."""
        return HealthCheck(self.health_check, self.health_path, self.health_timeout_seconds)

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
