"""No gateway: what the load, the backend and the machine do alone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from loadtests.peers.peer import Endpoint, Peer, Stage


class Direct(Peer):
    """The client connects straight to the backend."""

    name = "direct"
    about = "no gateway: the load and the echo backend alone"

    @contextlib.asynccontextmanager
    async def start(self, stage: Stage) -> AsyncIterator[Endpoint]:
        """Start nothing."""
        yield Endpoint(stage.backend_url, ())
