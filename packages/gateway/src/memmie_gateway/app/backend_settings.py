"""The settings of the backends; see `settings`."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from memmie_gateway.app.setting_types import CommaSeparated, PositiveCount, PositiveSeconds, Seconds
from memmie_gateway.core.backends.balancer import Strategy
from memmie_gateway.net.backends.backend import BackendUrl
from memmie_gateway.net.backends.health_check import HealthCheck, Kind
from memmie_gateway.net.http1.url import without_secrets

_PATH = re.compile(r"/[!\"$-~]*")  # no spaces, no fragment; may have a query


class BackendSettings(BaseModel):
    """The settings of the backends."""

    model_config = ConfigDict(defer_build=True)  # no validators yet, because only `Settings` is made

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

    @property
    def checks(self) -> HealthCheck:
        """How backends are checked."""
        return HealthCheck(self.health_check, self.health_path, self.health_timeout_seconds)
