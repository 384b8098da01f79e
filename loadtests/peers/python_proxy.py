"""Plain Python proxies, each on the library of its name, and each a process: `python -m loadtests.peers.NAME_proxy URL`."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import AsyncIterator

from loadtests.benchmark.processes import serving
from loadtests.peers.peer import Endpoint, Peer, Stage


class PythonProxy(Peer):
    """A proxy on the library of its name, a process of its own."""

    def version(self) -> str:
        """Return the library's."""
        return importlib.metadata.version(self.name)

    def missing(self) -> str:
        """Look for the library."""
        return "" if importlib.util.find_spec(self.name) else f"pip install {self.name}"

    @contextlib.asynccontextmanager
    async def start(self, stage: Stage) -> AsyncIterator[Endpoint]:
        """Run the proxy as a process."""
        command = [sys.executable, "-m", f"loadtests.peers.{self.name}_proxy", stage.backend_url]
        async with serving(f"the {self.name} proxy", command, cores=stage.cores) as server:
            yield Endpoint(f"ws://127.0.0.1:{server.port}/ws", (server.pid,))
