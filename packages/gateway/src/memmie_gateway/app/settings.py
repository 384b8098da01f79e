"""Settings, from the environment (spec §7). One field is one variable; the reference is generated from here."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from memmie_gateway.core.balancer import Strategy
from memmie_gateway.core.limits import Network
from memmie_gateway.net.auth.question import AuthUrl
from memmie_gateway.net.backends.backend import BackendUrl

CommaSeparated = NoDecode
"""Marks a field whose variable is a list with commas, not JSON."""

Seconds = Annotated[float, Field(ge=0, le=7 * 86400)]
PositiveSeconds = Annotated[float, Field(gt=0, le=86400)]
Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


_NEAR = 0.9
"""How alike two names are, from 0 to 1, of which one is taken for the other misspelt: a letter in ten may differ."""

_CREDENTIALS = re.compile(r"//[^/@\s]*@")  # of a URL that has them: not to be repeated in a message


class SettingsError(ValueError):
    """A variable has a value that cannot be used; one line a variable."""


class Settings(BaseSettings):
    """Everything that can be set. Field `x_y` is the variable `X_Y`."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, case_sensitive=False, env_ignore_empty=True
    )

    # The port
    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - a server's default
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    websocket_enabled: bool = Field(default=True, description="Whether WebSockets are served.")
    max_connections: PositiveCount = Field(
        10_000, description="Connections of all kinds at once, in this process. Beyond: 503."
    )
    max_head_bytes: int = Field(
        16_384, ge=1024, le=1 << 20, description="Size of a request head in bytes. Beyond: 431."
    )
    max_headers: PositiveCount = Field(100, description="Header fields of a request. Beyond: 431.")
    head_seconds: PositiveSeconds = Field(
        10, description="Seconds a request head may take to arrive. Beyond: 408."
    )
    trusted_proxies: Annotated[tuple[str, ...], CommaSeparated] = Field(
        (), description="Networks (CIDR) whose X-Forwarded-* headers are believed."
    )
    allowed_origins: Annotated[tuple[str, ...], CommaSeparated] = Field(
        ("*",),
        description=(
            "Origins of pages that may connect, such as `https://app.example.com` or `https://*.example.com`; "
            "`*` for all, which is safe as long as tokens are not cookies. Others: 403."
        ),
    )

    # Auth
    auth_url: str = Field("http://localhost:8001", description="Base URL of Auth.")
    auth_timeout_seconds: PositiveSeconds = Field(
        5, description="Seconds Auth may take to answer. Beyond: 503."
    )
    auth_cache_seconds: Seconds = Field(
        60, description="Seconds a valid token is believed without asking again, but never past its end."
    )
    auth_refusal_cache_seconds: Seconds = Field(
        5, description="Seconds a refused token stays refused without asking."
    )
    auth_cache_size: PositiveCount = Field(
        10_000, description="Tokens remembered; the least recently used go first."
    )
    auth_max_connections: PositiveCount = Field(50, description="Connections to Auth at once.")
    auth_breaker_failures: Count = Field(
        5, description="Failures of Auth in a row after which it is left alone for a while; 0 for never."
    )
    auth_breaker_seconds: PositiveSeconds = Field(5, description="Seconds it is left alone. Meanwhile: 503.")
    first_message_auth: bool = Field(
        default=False, description='Whether the token may come in the first message, `{"type":"auth",…}`.'
    )
    first_message_seconds: PositiveSeconds = Field(
        5, description="Seconds that message may take. Beyond: close 1008."
    )

    # Studios
    studio_ws_urls: Annotated[tuple[str, ...], CommaSeparated] = Field(
        ("ws://localhost:8010/ws",), description="WebSocket URLs of the Studios."
    )
    lb_strategy: Strategy = Field(
        Strategy.STICKY, description="Which Studio a user without live connections gets."
    )
    dial_timeout_seconds: PositiveSeconds = Field(
        5, description="Seconds a Studio may take to accept a connection. Beyond: the next Studio."
    )
    health_interval_seconds: PositiveSeconds = Field(
        30, description="Seconds between probes of a healthy Studio."
    )
    health_recovery_seconds: PositiveSeconds = Field(
        2, description="Seconds between probes of any other Studio."
    )
    health_timeout_seconds: PositiveSeconds = Field(5, description="Seconds a probe may take.")
    health_rise: PositiveCount = Field(1, description="Successes in a row that make a Studio healthy.")
    health_fall: PositiveCount = Field(2, description="Failures in a row that make a Studio unhealthy.")

    # Limits
    max_connections_per_ip: Count = Field(
        10,
        description="WebSockets at once from one IPv4 address or IPv6 /64; 0 for no limit. Beyond: 429. "
        "Of connections that wait for their answer it may have 16 more.",
    )
    max_connections_per_user: Count = Field(
        5, description="WebSockets at once of one user; 0 for no limit. Beyond: 429."
    )
    connect_rate_per_ip: Rate = Field(
        10, description="Connects a second from one address; 0 for no limit. Beyond: 429."
    )
    connect_burst_per_ip: PositiveCount = Field(
        50, description="Connects from one address that may come at once."
    )
    message_rate_per_user: Rate = Field(
        100,
        description="Frames a second from one user, over all connections; 0 for no limit. Beyond: slowed down.",
    )
    message_burst_per_user: PositiveCount = Field(
        200, description="Frames from one user that may come at once."
    )
    message_rate_max_delay_seconds: PositiveSeconds = Field(
        10, description="Seconds a sender may have to be held back for its rate. Beyond: close 1008."
    )
    max_message_bytes: int = Field(
        1_048_576,
        ge=125,
        le=1 << 31,
        description="Size of a message in bytes, over all fragments. Beyond: close 1009.",
    )

    # Sessions
    ws_timeout_seconds: Seconds = Field(
        300, description="Seconds without a message either way; 0 for ever. Beyond: close 1001."
    )
    ping_interval_seconds: Seconds = Field(
        20, description="Seconds of silence after which a side is pinged; 0 for never."
    )
    ping_timeout_seconds: PositiveSeconds = Field(
        20, description="Seconds an answer to a ping may take. Beyond: closed."
    )
    close_timeout_seconds: PositiveSeconds = Field(5, description="Seconds a closing handshake may take.")
    write_buffer_bytes: int = Field(
        65_536,
        ge=1024,
        le=1 << 26,
        description="Bytes that may wait for a slow side before the other is paused.",
    )
    drain_seconds: Seconds = Field(
        10,
        description="Seconds over which connections are closed on SIGTERM. A container's grace must exceed "
        "this and CLOSE_TIMEOUT_SECONDS together.",
    )

    # Logs
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is console on a terminal, else JSON."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level that is logged."
    )

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from a mapping instead of the process's environment.

        Raises:
            SettingsError: a value cannot be used.
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
        """Take what is given: the process's environment is read in one place, the command line."""
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
            raise ValueError("a URL is there twice")
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
    """Return the variables that set nothing and look like one that would, each with that one's name.

    An environment has many variables that are nobody's business here, so only a near miss is told.
    """
    known = {name.upper() for name in Settings.model_fields}
    near = {
        name: difflib.get_close_matches(name.upper(), known, n=1, cutoff=_NEAR)
        for name in environment
        if name.upper() not in known
    }
    return {name: matches[0] for name, matches in near.items() if matches}


def _explain(error: ValidationError) -> list[str]:
    """Say for each bad variable what was given and what is allowed."""
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
