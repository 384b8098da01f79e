"""The gateway as a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from memmie_harness.containers.service import ServiceContainer
from memmie_harness.targets.target import websocket_url

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE = "memmie-gateway:latest"
PORT = 8000


class GatewayContainer(ServiceContainer):
    """A gateway; started when its ``/ready`` answers 200, so when a Studio of its is healthy.

    Args:
        image: Its image.
        port: Where it listens inside the container.
        options: Anything else for `testcontainers.core.container.DockerContainer`.
    """

    def __init__(self, image: str = IMAGE, *, port: int = PORT, **options: Any) -> None:
        super().__init__(image, port=port, ready_path="/ready", **options)
        self.with_settings({"PORT": port, "LOG_FORMAT": "json"})

    def with_settings(self, settings: Mapping[str, object]) -> Self:
        """Add settings (spec §7), by the names they have in the environment."""
        for name, value in settings.items():
            self.with_env(name, str(value))
        return self

    def with_auth(self, url: str) -> Self:
        """Name Auth as the gateway reaches it, such as ``http://auth:8001``."""
        return self.with_settings({"AUTH_URL": url})

    def with_studios(self, *ws_urls: str) -> Self:
        """Name the Studios as the gateway reaches them, such as ``ws://studio-1:8010/ws``."""
        return self.with_settings({"STUDIO_WS_URLS": ",".join(ws_urls)})

    def get_ws_url(self) -> str:
        """The WebSocket address from this machine (spec §1)."""
        return websocket_url(self.get_url())
