"""Auth, a Studio and gateways in this process, at which real clients connect."""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Final

import aiohttp
from tests.integration.no_limits import NO_LIMITS
from tests.net.pair import until
from tests.real_clients.streaming_studio import StreamingStudio

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.backends.health import Health

SETTINGS: Final = {
    **{name: str(value) for name, value in NO_LIMITS.items()},
    "HOST": "127.0.0.1",
    "PORT": "0",
    "LOG_FORMAT": "json",
    "BROWSER_REFUSALS": "true",
    "HTTP_RATE_PER_IP": "0",
    "HTTP_RATE_PER_USER": "0",
    "CLOSE_TIMEOUT_SECONDS": "1",
    "HTTP_LIVE_SECONDS": "0.05",
}


@dataclass
class Stack:
    """Auth, a Studio, and the gateways that a test starts, which allow the pages of this origin."""

    auth: FakeAuth
    studio: StreamingStudio
    origin: str
    gateways: list[Gateway] = field(default_factory=list)

    async def gateway(self, **settings: str) -> Gateway:
        """Start a gateway."""
        required = {
            "AUTH_URL": self.auth.url,
            "STUDIO_WS_URLS": self.studio.ws_url,
            "ALLOWED_ORIGINS": self.origin,
        }
        with redirect_stdout(StringIO()):
            gateway = Gateway.from_env({**SETTINGS, **required, **settings})
        self.gateways.append(gateway)
        await gateway.start()
        await until(lambda: all(each.tracker.state is Health.HEALTHY for each in gateway.parts.pool))
        return gateway

    async def create_blob(self, gateway: Gateway, token: str, number: int) -> None:
        """Create a blob, which is an event for all clients of the user."""
        blob = {"processor_id": "p", "schema_id": "s", "data": {"number": number}}
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{gateway.url}/api/v1/blobs"
        async with aiohttp.ClientSession() as http, http.post(url, json=blob, headers=headers) as answer:
            assert answer.status == 201

    async def stop(self) -> None:
        """Stop the gateways."""
        for gateway in self.gateways:
            await gateway.stop()
