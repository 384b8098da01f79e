"""What a chaos run breaks: two gateways, four Studios and Auth as processes, and a relay between each pair.

    clients ── gateway 1 ── relay ── Studio 1 … 4, Auth
            └─ gateway 2 ── relay ──┘

Everything listens on loopback, on free ports. A gateway knows the services by names, such as `studio-1.chaos`, and a
relay has an address of its own below 127.0.0.0/8. So each connection between a gateway and a service can be cut, and
each name can move.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Final

import aiohttp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.chaos.gateway_process import Gateway
from tests.chaos.invariants import CLOSE_TIMEOUT_SECONDS, HTTP_TOTAL_SECONDS
from tests.chaos.link import Link
from tests.chaos.service import AUTH, Service

from memmie_fake_auth import FakeAuth
from memmie_harness.targets.errors import TargetError
from memmie_harness.wiring import FOR_TESTS, gateway_environment

STUDIOS: Final = ("studio-1", "studio-2", "studio-3", "studio-4")
LAST_STUDIO: Final = STUDIOS[-1]
"""It is configured, but does not run until it is added."""
GATEWAYS: Final = 2

REBALANCE_AFTER_SECONDS: Final = 3

MESSAGE_RATE: Final = 20
"""Frames of one user in a second."""

SETTINGS: Final = {
    # All clients come from one address.
    "MAX_CONNECTIONS_PER_IP": 0,
    "CONNECT_RATE_PER_IP": 0,
    "MAX_CONNECTIONS_PER_USER": 20,
    # Most clients need three frames in a second, and a caller one request.
    "MESSAGE_RATE_PER_USER": MESSAGE_RATE,
    "MESSAGE_BURST_PER_USER": MESSAGE_RATE,
    # The clocks run fast, but leave a busy machine its time.
    "AUTH_CACHE_SECONDS": 2,
    "AUTH_REFUSAL_CACHE_SECONDS": 1,
    "AUTH_RECHECK_SECONDS": 5,
    "AUTH_TIMEOUT_SECONDS": 2,
    "DIAL_TIMEOUT_SECONDS": 5,
    "DRAIN_SECONDS": 1,
    "CLOSE_TIMEOUT_SECONDS": CLOSE_TIMEOUT_SECONDS,
    "HTTP_IDLE_SECONDS": 5,
    "HTTP_TOTAL_SECONDS": HTTP_TOTAL_SECONDS,
    "HEALTH_INTERVAL_SECONDS": 1,
    "HEALTH_RECOVERY_SECONDS": 0.25,
    "HEALTH_TIMEOUT_SECONDS": 3,
    "PING_INTERVAL_SECONDS": 1,
    "PING_TIMEOUT_SECONDS": 3,
    "SLOW_START_SECONDS": 1,
    # Two gateways serve the same users.
    "REBALANCE": "home",
    "REBALANCE_AFTER_SECONDS": REBALANCE_AFTER_SECONDS,
}


class Stage:
    """All processes and relays of a run.

    Args:
        folder: where journals, names and logs go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        pem = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        key = folder / "key.pem"
        key.write_bytes(pem)
        self._mint = FakeAuth(signing_key=pem.decode())
        self.auth = Service(AUTH, folder, ("--signing-key-file", str(key)))
        self.studios = {name: Service(name, folder) for name in STUDIOS}
        self.gateways = [Gateway(number, folder) for number in range(1, GATEWAYS + 1)]
        self.problems: list[str] = []
        self.http: aiohttp.ClientSession

    @property
    def services(self) -> list[Service]:
        """Auth and every Studio."""
        return [self.auth, *self.studios.values()]

    def token(self, user_id: str) -> str:
        """Return a token that outlives the run."""
        return self._mint.mint(user_id, ttl_seconds=24 * 3600)

    async def start(self) -> None:
        """Start everything but the last Studio."""
        self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        for index, service in enumerate(self.services, start=1):
            await service.start()  # to get its port; its relays come next
            for gateway in self.gateways:
                link = Link(gateway.address(index), service.port)
                await link.open()
                service.links.append(link)
                gateway.links[service.name] = link
                gateway.names[f"{service.name}.chaos"] = link.address
        await self.studios[LAST_STUDIO].end()
        for gateway in self.gateways:
            gateway.write_names()
            gateway.environment = gateway_environment(
                auth_url=f"http://auth.chaos:{self.auth.port}",
                studio_ws_urls=[f"ws://{each.name}.chaos:{each.port}/ws" for each in self.studios.values()],
                extra={**FOR_TESTS, **SETTINGS},
            )
        await asyncio.gather(*(gateway.start() for gateway in self.gateways))
        for gateway in self.gateways:
            gateway.usage_before = await gateway.usage(self.http)

    async def stop(self) -> None:
        """End everything, whatever state it is in."""
        for service in self.services:
            service.signal(signal.SIGCONT)
        for gateway in self.gateways:
            if gateway._target is None:
                continue
            try:
                gateway.target.send_signal(signal.SIGCONT)
                await gateway.target.stop()
            except TargetError as error:
                self.problems.append(f"{gateway.name}: {str(error).splitlines()[0]}")
            gateway.keep_log()
        for service in self.services:
            await service.end(signal.SIGKILL)
            for link in service.links:
                await link.close()
        with contextlib.suppress(AttributeError):
            await self.http.close()
