"""What is attacked: a gateway with default settings, two fake Studios and a fake Auth, each a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families
from tests.attack.attacks import perform
from tests.attack.enemy import Damage, Scene

from loadtests.common.usage import cpu_seconds
from memmie_harness.targets.process import ProcessTarget
from memmie_harness.wiring import gateway_environment

AUTH: Final = ("-m", "tests.attack.auth")
STUDIO: Final = ("-m", "memmie_fake_studio.cli", "serve", "--port", "0", "--log-entries", "30000")
STUDIOS: Final = 2

START_SECONDS: Final = 60.0
"""How long a process may take to start on a busy machine."""

STEADY: Final = ("gateway_auth_circuit_open", "gateway_backend_healthy", "gateway_backend_ejected")
"""Gauges that no client may move, not even for a moment."""

REMEMBERED: Final = ("gateway_auth_cached_verdicts",)
"""Gauges of what the gateway remembers on purpose, up to a limit."""

POLL_SECONDS: Final = 0.25

LINES_PER_SECOND: Final = 11
"""Lines about refusals of one address in a second: ten, and one with a count."""


@dataclass(frozen=True)
class Held:
    """What the gateway holds.

    Attributes:
        gauges: the `gateway_*` gauges, by name and labels.
        descriptors: open files and sockets, but for kept connections to Auth.
    """

    gauges: Mapping[str, float]
    descriptors: int

    def more_than(self, before: Held) -> list[str]:
        """Return in words what is other than before."""
        found = [
            f"{name} is {value:g}, and was {before.gauges.get(name, 0):g}"
            for name, value in self.gauges.items()
            if value != before.gauges.get(name, 0)
        ]
        if self.descriptors > before.descriptors:
            found.append(f"{self.descriptors} descriptors are open, and {before.descriptors} were")
        return found


class Stage:
    """The processes.

    Args:
        settings: settings of the gateway that are not the defaults.

    Attributes:
        before: what the gateway held before the first client.
        studio_ws_urls: the Studios' WebSocket addresses.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._attackers: ProcessPoolExecutor
        self._auth: ProcessTarget
        self._gateway: ProcessTarget
        self._http: aiohttp.ClientSession
        self.scene: Scene
        self.before: Held

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        self._auth = await self._process({}, AUTH)
        studios = [await self._process({}, STUDIO) for _ in range(STUDIOS)]
        self.studio_ws_urls = [studio.ws_url for studio in studios]
        environment = gateway_environment(
            auth_url=self._auth.url,
            studio_ws_urls=self.studio_ws_urls,
            extra={"LOG_FORMAT": "json", **self._settings},
        )
        self._gateway = await self._process(environment)
        port = urlsplit(self._gateway.url).port
        assert port is not None
        self.scene = Scene(port, tuple(studio.url for studio in studios))
        self._attackers = self._stack.enter_context(
            ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        )
        await self.attack((), 0)  # start the process
        # A connection is closed after each answer, so none of these is counted.
        self._http = await self._stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        )
        self.before = await self.held()

    async def _process(
        self, environment: Mapping[str, str], arguments: Sequence[str] | None = None
    ) -> ProcessTarget:
        command = None if arguments is None else (sys.executable, *arguments)
        target = ProcessTarget(environment, command=command, start_seconds=START_SECONDS, stop_seconds=30)
        await target.start(until_ready=arguments is None)
        self._stack.push_async_callback(target.stop)
        return target

    @property
    def ws_url(self) -> str:
        """The gateway's WebSocket address."""
        return self._gateway.ws_url

    async def attack(self, names: Sequence[str], seconds: float) -> dict[str, Damage]:
        """Let attacks happen at the same time, in another process."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._attackers, perform, names, self.scene, seconds)

    # What can be seen from outside.

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the gateway so far."""
        return cpu_seconds([self._gateway.pid])

    async def gauges(self) -> dict[str, float]:
        """Return the gateway's own gauges."""
        async with self._http.get(f"{self._gateway.url}/metrics") as response:
            response.raise_for_status()
            text = await response.text()
        return {
            f"{sample.name}{sorted(sample.labels.values()) or ''}": sample.value
            for family in text_string_to_metric_families(text)
            if family.type == "gauge" and family.name.startswith("gateway_") and family.name not in REMEMBERED
            for sample in family.samples
        }

    async def alive(self) -> list[str]:
        """Ask as a platform does, from an address of its own; return in words what is wrong."""
        problems = []
        for path in ("/health", "/ready"):
            try:
                async with self._http.get(f"{self._gateway.url}{path}") as response:
                    if response.status != 200:
                        problems.append(f"{path} answers {response.status}")
            except (aiohttp.ClientError, TimeoutError) as error:
                problems.append(f"{path} is not answered: {error!r}")
        return problems

    async def held(self) -> Held:
        """Return what the gateway holds now."""
        process = psutil.Process(self._gateway.pid)
        auth = urlsplit(self._auth.url).port
        kept = sum(
            bool(each.raddr) and each.raddr.port == auth for each in process.net_connections("tcp")
        )  # it may keep them for 15 seconds
        gauges = await self.gauges()
        return Held(gauges, process.num_fds() - kept)

    async def at_rest(self, within: float) -> list[str]:
        """Wait until the gateway holds no more than before the first client; return what it still holds, in words."""
        deadline = asyncio.get_running_loop().time() + within
        while found := (await self.held()).more_than(self.before):
            if asyncio.get_running_loop().time() > deadline:
                return [f"not at rest after {within:g} s: {words}" for words in found]
            await asyncio.sleep(POLL_SECONDS)
        return []

    def log_position(self) -> Any:
        """Return the newest line of the gateway's log."""
        logs = self._gateway.logs()
        return logs[-1] if logs else None

    def logged_since(self, position: Any, seconds: float) -> list[str]:
        """Judge the log of so many seconds; return in words what is wrong."""
        lines = list(self._gateway.logs())
        start = next((index + 1 for index, line in enumerate(lines) if line is position), 0)
        problems = [
            f"the log says: {line.get('detail', line['event'])!s:.200} {str(line.get('exception', ''))[-300:]}"
            for line in lines[start:]
            if line.get("level") in ("error", "critical") or "exception" in line
        ]
        refused = Counter(line["address"] for line in lines[start:] if line["event"] == "refused")
        most = LINES_PER_SECOND * (seconds + 2)
        problems += [
            f"{count} lines about {address} in {seconds:.0f} s"
            for address, count in refused.most_common(1)
            if count > most
        ]
        return problems[:3]
