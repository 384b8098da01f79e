"""A gateway as a process of its own, with its name server and its relays; it starts again at the same port."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
from tests import asking
from tests.chaos.invariants import AGAIN_SECONDS
from tests.chaos.link import Link
from tests.chaos.records import Usage
from tests.chaos.service import AUTH, START_SECONDS, STOP_SECONDS

from memmie_harness.targets.process import ProcessTarget


class Gateway:
    """A gateway that starts again at the same port.

    Args:
        number: 1 or 2.
        folder: where its names and its log go.

    Attributes:
        names: the addresses of the services' names, as this gateway finds them.
        links: its relays, by service.
        usage_before: what it held before a client came.
        moves: the moves that it has counted, over all its processes.
        ws_url: its WebSocket address, also while it does not run.
    """

    def __init__(self, number: int, folder: Path) -> None:
        self.name = f"gateway-{number}"
        self.ws_url = ""
        self.names: dict[str, str] = {}
        self.links: dict[str, Link] = {}
        self.usage_before: Usage | None = None
        self.usage_crowded: Usage | None = None
        self.moves = 0.0
        self.environment: dict[str, str] = {}
        self._number = number
        self._port = 0
        self._folder = folder
        self._target: ProcessTarget | None = None

    @property
    def target(self) -> ProcessTarget:
        """The process that runs now."""
        assert self._target is not None
        return self._target

    def address(self, service: int) -> str:
        """Return the address of its relay to a service."""
        return f"127.{10 + self._number}.0.{service}"

    def write_names(self, names: dict[str, str] | None = None) -> None:
        """Let its name server know these names, by default its own."""
        path = self._folder / f"{self.name}.names"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(self.names if names is None else names))
        new.replace(path)

    async def start(self) -> None:
        """Start it, at the same port as before, and wait until it is ready."""
        environment = {
            **self.environment,
            "PORT": str(self._port),
            "CHAOS_NAMES": str(self._folder / f"{self.name}.names"),
            "CHAOS_AGAIN_SECONDS": str(AGAIN_SECONDS),
        }
        self._target = ProcessTarget(
            environment,
            command=[sys.executable, "-m", "tests.chaos.gateway"],
            start_seconds=START_SECONDS,
            stop_seconds=STOP_SECONDS,
        )
        await self._target.start()
        self.ws_url = self._target.ws_url
        self._port = int(self._target.url.rpartition(":")[2])

    async def count_moves(self, http: aiohttp.ClientSession) -> float:
        """Return the moves that this process has counted."""
        return await asking.metric(
            http, self.target.url, "gateway_evictions_total", evidence="move", mode="act"
        )

    async def usage(self, http: aiohttp.ClientSession) -> Usage:
        """Return what its process holds, from its metrics, its tasks and /proc."""
        pid, url = self.target.pid, self.target.url
        known = sum(line["event"] == "chaos_held" for line in self.target.logs())
        self.target.send_signal(signal.SIGUSR1)

        def newest() -> Any:
            lines = [line for line in self.target.logs() if line["event"] == "chaos_held"]
            return lines[-1] if len(lines) > known else None

        async with asyncio.timeout(START_SECONDS):
            while newest() is None:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
        descriptors, memory = held_by(pid)
        open_to = {name: link.connections for name, link in self.links.items()}
        return Usage(
            connections=await asking.metric(http, url, "gateway_websocket_connections"),
            pending=await asking.metric(http, url, "gateway_pending_connections"),
            to_auth=open_to.pop(AUTH),
            to_studios=sum(open_to.values()),
            descriptors=descriptors,
            tasks=newest()["tasks"],
            places=newest()["places"],
            socketio=newest()["socketio"],
            memory=memory,
        )

    def keep_log(self) -> None:
        """Append its log to a file in the run's folder."""
        if self._target is not None:
            with (self._folder / f"{self.name}.log").open("a") as log:
                log.write(self._target.log_tail(10_000) + "\n")


def held_by(pid: int) -> tuple[int, int]:
    """Return how many descriptors a process has open, and its resident memory in bytes."""
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert resident is not None
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), int(resident[1]) * 1024
