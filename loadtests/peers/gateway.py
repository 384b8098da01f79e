"""Ours, with every policy on. Limits are raised so that they bind nobody here, not switched off."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import AsyncIterator

from loadtests.benchmark.processes import serving
from loadtests.peers.peer import Endpoint, Peer, Stage

FAR_ABOVE = 1_000_000
"""A rate that is counted all the same, and never reached."""


class Gateway(Peer):
    """memmie-gateway: auth, limits, message rate, metrics, logs, keepalive and health probes, all on."""

    name = "gateway"
    about = "memmie-gateway with every policy on"
    asks_auth = True

    @contextlib.asynccontextmanager
    async def start(self, stage: Stage) -> AsyncIterator[Endpoint]:
        """Run `memmie-gateway serve`."""
        # All load comes from one address, and each connection is another user's.
        environment = {
            "HOST": "127.0.0.1",
            "PORT": "0",
            "LOG_FORMAT": "json",
            "STUDIO_WS_URLS": stage.backend_url,
            "AUTH_URL": stage.auth_url,
            "MAX_CONNECTIONS": str(2 * stage.connections + 100),
            "MAX_CONNECTIONS_PER_IP": str(2 * stage.connections + 100),
            "CONNECT_RATE_PER_IP": str(FAR_ABOVE),
            "CONNECT_BURST_PER_IP": str(FAR_ABOVE),
            "MESSAGE_RATE_PER_USER": str(
                FAR_ABOVE
            ),  # its burst stays: the bucket is settled as often as in earnest
            "DRAIN_SECONDS": "0",
        }
        command = [sys.executable, "-m", "memmie_gateway", "serve"]
        async with serving("the gateway", command, cores=stage.cores, environment=environment) as server:
            yield Endpoint(f"ws://127.0.0.1:{server.port}/ws", (server.pid,))

    def version(self) -> str:
        """Return the package's."""
        return importlib.metadata.version("memmie-gateway")

    def missing(self) -> str:
        """Look for the package."""
        return "" if importlib.util.find_spec("memmie_gateway") else "memmie-gateway: uv sync --all-packages"
