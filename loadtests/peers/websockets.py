"""A plain Python proxy on the `websockets` library: what a user would write in an afternoon."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator

from loadtests.benchmark.processes import serving
from loadtests.peers.peer import Endpoint, Peer, Stage


class Websockets(Peer):
    """Receives each message and sends it on (see `websockets_proxy`). It asks nobody, limits and counts nothing."""

    name = "websockets"
    about = "recv → send with the websockets library on uvloop, no policies"

    @contextlib.asynccontextmanager
    async def start(self, stage: Stage) -> AsyncIterator[Endpoint]:
        """Run the proxy as a process."""
        command = [sys.executable, "-m", "loadtests.peers.websockets_proxy", stage.backend_url]
        async with serving("the websockets proxy", command, cores=stage.cores) as server:
            yield Endpoint(f"ws://127.0.0.1:{server.port}/ws", (server.pid,))
