"""Settings, read from the environment (spec §7). Each field is one variable and one row of docs/settings.md."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from memmie_gateway.core.balancer import Strategy
from memmie_gateway.core.client_address import Network
from memmie_gateway.net.auth.question import AuthUrl
from memmie_gateway.net.backends.backend import BackendUrl

CommaSeparated = NoDecode
"""Mark a field that is written as a comma-separated list, not as JSON."""

Seconds = Annotated[float, Field(ge=0, le=7 * 86400)]
PositiveSeconds = Annotated[float, Field(gt=0, le=86400)]
Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


_NEAR = 0.9
"""How similar a variable must be to a setting to count as misspelt, from 0 to 1. About one letter in ten may differ."""

_CREDENTIALS = re.compile(r"//[^/@\s]*@")  # in a URL; a message must not repeat them


class SettingsError(ValueError):
    """Invalid settings; the message has one line for each variable."""


class Settings(BaseSettings):
    """All settings of the gateway. The field `x_y` is the variable `X_Y`."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, case_sensitive=False, env_ignore_empty=True
    )

    # Listener
    host: str = Field("0.0.0.0", description="Address to listen on; `0.0.0.0` is every IPv4 address.")  # noqa: S104 - a server's default
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free port.")
    websocket_enabled: bool = Field(
        default=True, description="Accept WebSocket connections. If false, they get 503."
    )
    max_connections: PositiveCount = Field(
        10_000,
        description="Maximum number of open connections of all kinds in this process. Further WebSockets get 503. "
        "There is a reserve of 64 connections for requests such as `/health`.",
    )
    max_head_bytes: int = Field(
        16_384,
        ge=1024,
        le=1 << 20,
        description="Maximum size of a request head in bytes. A larger one gets 431.",
    )
    max_headers: PositiveCount = Field(
        100, description="Maximum number of header fields in a request. A request with more gets 431."
    )
    head_seconds: PositiveSeconds = Field(
        10,
        description="Maximum time in seconds until a request head is complete. After that the client gets 408.",
    )
    trusted_proxies: Annotated[tuple[str, ...], CommaSeparated] = Field(
        (),
        description="Networks of your proxies in CIDR notation, comma separated. "
        "X-Forwarded-* headers are accepted from them only.",
    )
    allowed_origins: Annotated[tuple[str, ...], CommaSeparated] = Field(
        ("*",),
        description=(
            "Origins of web pages that may connect, comma separated, such as `https://app.example.com` or "
            "`https://*.example.com`. `*` allows every origin, which is safe unless clients send tokens in cookies. "
            "Other origins get 403."
        ),
    )

    # Auth
    auth_url: str = Field("http://localhost:8001", description="Base URL of the Auth service.")
    auth_timeout_seconds: PositiveSeconds = Field(
        5, description="Maximum time in seconds until Auth answers. After that the client gets 503."
    )
    auth_cache_seconds: Seconds = Field(
        60,
        description="Time in seconds for which Auth's answer about a valid token is cached. "
        "It is never used after the token has expired.",
    )
    auth_refusal_cache_seconds: Seconds = Field(
        5, description="Time in seconds for which Auth's answer about an invalid token is cached."
    )
    auth_cache_size: PositiveCount = Field(
        10_000,
        description="Maximum number of tokens in the cache. The least recently used are removed first.",
    )
    auth_max_connections: PositiveCount = Field(50, description="Maximum number of connections to Auth.")
    auth_breaker_failures: Count = Field(
        5, description="Consecutive failures of Auth that open its circuit breaker; 0 disables the breaker."
    )
    auth_breaker_seconds: PositiveSeconds = Field(
        5,
        description="Time in seconds for which the circuit stays open. "
        "Meanwhile only clients with a cached token can connect; others get 503.",
    )
    first_message_auth: bool = Field(
        default=False,
        description='Accept the token in the first message, `{"type":"auth",…}`, if the handshake has no token.',
    )
    first_message_seconds: PositiveSeconds = Field(
        5,
        description="Maximum time in seconds until this first message arrives. "
        "After that the connection is closed with 1008.",
    )

    # Backends
    studio_ws_urls: Annotated[tuple[str, ...], CommaSeparated] = Field(
        ("ws://localhost:8010/ws",),
        description="WebSocket URLs of the backends, which are your Studio instances, comma separated.",
    )
    lb_strategy: Strategy = Field(
        Strategy.STICKY,
        description="How to choose a backend for a user without live connections. "
        "Further connections of a user go to the same backend.",
    )
    dial_timeout_seconds: PositiveSeconds = Field(
        5,
        description="Maximum time in seconds until a backend accepts a connection. "
        "After that the next backend is tried.",
    )
    health_interval_seconds: PositiveSeconds = Field(
        30, description="Time in seconds between health checks of a healthy backend."
    )
    health_recovery_seconds: PositiveSeconds = Field(
        2,
        description="Time in seconds between health checks of a backend that is not known to be healthy, or failed its last check.",
    )
    health_timeout_seconds: PositiveSeconds = Field(
        5, description="Maximum time in seconds for a health check."
    )
    health_rise: PositiveCount = Field(
        1, description="Consecutive successes that make an unhealthy backend healthy again."
    )
    health_fall: PositiveCount = Field(
        2, description="Consecutive failures that make a healthy backend unhealthy."
    )

    # Limits
    max_connections_per_ip: Count = Field(
        10,
        description="Maximum number of WebSockets from one IPv4 address or IPv6 /64; 0 for no limit. "
        "Further ones get 429. "
        "Connections with a request that is not answered yet are counted separately; their limit is 16 higher.",
    )
    max_connections_per_user: Count = Field(
        5, description="Maximum number of WebSockets of one user; 0 for no limit. Further ones get 429."
    )
    connect_rate_per_ip: Rate = Field(
        10, description="Handshakes per second from one address; 0 for no limit. Further ones get 429."
    )
    connect_burst_per_ip: PositiveCount = Field(
        50, description="Handshakes that one address may send in a burst, faster than CONNECT_RATE_PER_IP."
    )
    message_rate_per_user: Rate = Field(
        100,
        description="Frames per second from one user, over all connections; 0 for no limit. "
        "A faster sender is slowed down.",
    )
    message_burst_per_user: PositiveCount = Field(
        200, description="Frames that one user may send in a burst, faster than MESSAGE_RATE_PER_USER."
    )
    message_rate_max_delay_seconds: PositiveSeconds = Field(
        10,
        description="Maximum time in seconds for one wait of a sender that is too fast. "
        "If a longer wait is needed, the connection is closed with 1008.",
    )
    max_message_bytes: int = Field(
        1_048_576,
        ge=125,
        le=1 << 31,
        description="Maximum size of a message in bytes, over all fragments. "
        "A larger one closes the connection with 1009.",
    )

    # Sessions
    ws_timeout_seconds: Seconds = Field(
        300,
        description="Time in seconds without a message in either direction, after which a connection is closed with 1001; "
        "0 for never.",
    )
    ping_interval_seconds: Seconds = Field(
        20,
        description="Time in seconds without data from a client or backend, after which it is pinged; 0 for never.",
    )
    ping_timeout_seconds: PositiveSeconds = Field(
        20,
        description="Maximum time in seconds until a client or backend answers a ping. "
        "After that the connection is closed.",
    )
    close_timeout_seconds: PositiveSeconds = Field(
        5,
        description="Maximum time in seconds for a closing handshake. After that the connection is aborted.",
    )
    write_buffer_bytes: int = Field(
        65_536,
        ge=1024,
        le=1 << 26,
        description="Bytes buffered for a slow receiver before the gateway stops reading from the sender.",
    )
    drain_seconds: Seconds = Field(
        10,
        description="Time in seconds over which the closing of live connections is spread after SIGTERM. "
        "The stop timeout of a container must be longer than the sum of DRAIN_SECONDS and CLOSE_TIMEOUT_SECONDS.",
    )

    # Logs
    log_format: Literal["auto", "json", "console"] = Field(
        "auto",
        description="`json`, `console` or `auto`, which is `console` on a terminal and `json` elsewhere.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level that is logged: `debug`, `info`, `warning` or `error`."
    )

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from a mapping instead of the process's environment.

        Raises:
            SettingsError: A value is invalid.
        """
        known = {name.upper(): name for name in cls.model_fields}
        values = {
            known[key.upper()]: value for key, value in environment.items() if key.upper() in known and value
        }
        try:
            return cls(**values)  # type: ignore[arg-type]  # text, which pydantic converts
        except ValidationError as error:
            raise SettingsError("\n".join(_explain(error))) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the values passed in, because the command line alone reads the process's environment."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("trusted_proxies", "allowed_origins", "studio_ws_urls", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

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
            except ValueError as error:
                raise ValueError(f"{text!r} is not a network such as 10.0.0.0/8: {error}") from None
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            scheme, separator, host = text.partition("://")
            if text not in ("*", "null") and not (scheme and separator and host and "/" not in host):
                raise ValueError(f"{text!r} is not an origin such as https://app.example.com")
        return value

    @field_validator("studio_ws_urls")
    @classmethod
    def _backends(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("at least one URL is needed")
        for url in value:
            BackendUrl.parse(url)
        if len(set(value)) != len(value):
            raise ValueError("a URL is listed twice")
        return value

    @field_validator("auth_url")
    @classmethod
    def _auth(cls, value: str) -> str:
        AuthUrl.parse(value)
        return value.rstrip("/")

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


def _explain(error: ValidationError) -> list[str]:
    """Return one line for each invalid variable: the value given, the value expected, and the meaning."""
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0]).upper() if problem["loc"] else "settings"
        field = Settings.model_fields.get(name.lower())
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "bool_parsing":
            message = "Input should be true or false"
        meaning = f" ({field.description})" if field is not None else ""
        lines.append(_CREDENTIALS.sub("//***@", f"{name}={problem['input']!r}: {message}{meaning}"))
    return lines
