"""The gateway as a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from memmie_harness.containers.service import ServiceContainer
from memmie_harness.wiring import websocket_url

IMAGE: Final = "memmie-gateway:latest"
"""The gateway's image, as `nox -s images` names it."""

PORT: Final = 8000
"""The port the gateway listens on inside its container."""


class GatewayContainer(ServiceContainer):
    """A gateway; `start` returns when `/ready` answers 200, which takes a healthy Studio.

    Args:
        image: the image.
        port: the port it listens on inside the container.
        **options: more arguments of `testcontainers.core.container.DockerContainer`.
    """

    def __init__(self, image: str = IMAGE, *, port: int = PORT, **options: Any) -> None:
        super().__init__(image, port=port, ready_path="/ready", **options)
        self.with_settings({"PORT": port, "LOG_FORMAT": "json"})

    def with_settings(self, settings: Mapping[str, object]) -> Self:
        """Add settings (spec §7) by their names in the environment."""
        for name, value in settings.items():
            self.with_env(name, str(value))
        return self

    def with_auth(self, url: str) -> Self:
        """Set the address of Auth, as the gateway reaches it, such as `http://auth:8001`."""
        return self.with_settings({"AUTH_URL": url})

    def with_studios(self, *ws_urls: str) -> Self:
        """Set the addresses of the Studios, as the gateway reaches them, such as `ws://studio-1:8010/ws`."""
        return self.with_settings({"STUDIO_WS_URLS": ",".join(ws_urls)})

    def get_ws_url(self) -> str:
        """Return the WebSocket address (spec §1) as this machine reaches it."""
        return websocket_url(self.get_url())
