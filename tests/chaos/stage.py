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
import json
import re
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any, Final

import aiohttp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests import asking
from tests.chaos.invariants import Usage
from tests.chaos.link import Link

from memmie_fake_auth import FakeAuth
from memmie_harness.targets.errors import TargetError
from memmie_harness.targets.process import ProcessTarget
from memmie_harness.wiring import FOR_TESTS, gateway_environment

STUDIOS: Final = ("studio-1", "studio-2", "studio-3", "studio-4")
LAST_STUDIO: Final = STUDIOS[-1]
"""It is configured, but does not run until it is added."""
AUTH: Final = "auth"
GATEWAYS: Final = 2

REBALANCE_AFTER_SECONDS: Final = 3

SETTINGS: Final = {
    # All clients come from one address.
    "MAX_CONNECTIONS_PER_IP": 0,
    "CONNECT_RATE_PER_IP": 0,
    "MAX_CONNECTIONS_PER_USER": 20,
    # The clocks run fast, but leave a busy machine its time.
    "AUTH_CACHE_SECONDS": 2,
    "AUTH_REFUSAL_CACHE_SECONDS": 1,
    "AUTH_RECHECK_SECONDS": 5,
    "AUTH_TIMEOUT_SECONDS": 2,
    "DIAL_TIMEOUT_SECONDS": 5,
    "DRAIN_SECONDS": 1,
    "CLOSE_TIMEOUT_SECONDS": 2,
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

START_SECONDS: Final = 20.0
"""How long a process may take to start on a busy machine."""

STOP_SECONDS: Final = 10.0
"""How long a process may take to end after SIGTERM."""


class StageError(Exception):
    """A process did not start or did not end as it should; the message says which."""


class Service:
    """A fake as a process of its own, which starts again at the same port.

    Args:
        name: such as `studio-1`.
        folder: where its journals and errors go.
        links: the relays before it.
        extra: more arguments of its command.
    """

    def __init__(self, name: str, folder: Path, extra: tuple[str, ...] = ()) -> None:
        self.name = name
        self.port = 0
        self.links: list[Link] = []
        self._folder = folder
        self._extra = extra
        self._starts = 0
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it and its relays' listeners."""
        self._starts += 1
        if self.name == AUTH:
            command = ["-m", "memmie_fake_auth.cli", "serve", "--port", str(self.port), *self._extra]
        else:
            journal = self._folder / f"{self.name}.{self._starts}.journal"
            command = ["-m", "tests.chaos.studio", self.name, str(journal), str(self.port)]
        with (self._folder / f"{self.name}.err").open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *command,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors,
                start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await self._process.stdout.readline()
            self.port = json.loads(line)["port"]
        except (TimeoutError, ValueError):
            raise StageError(f"{self.name} did not start; see {self._folder / f'{self.name}.err'}") from None
        for link in self.links:
            await link.open()

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        for link in self.links:
            link.shut()
        process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    @property
    def url(self) -> str:
        """Its own HTTP address, without a relay."""
        return f"http://127.0.0.1:{self.port}"


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
    """

    def __init__(self, number: int, folder: Path) -> None:
        self.name = f"gateway-{number}"
        self.names: dict[str, str] = {}
        self.links: dict[str, Link] = {}
        self.usage_before: Usage | None = None
        self.usage_crowded: Usage | None = None
        self.moves = 0.0
        self.environment: dict[str, str] = {}
        self._number = number
        self._folder = folder
        self._target: ProcessTarget | None = None

    @property
    def target(self) -> ProcessTarget:
        """The process that runs now."""
        assert self._target is not None
        return self._target

    @property
    def ws_url(self) -> str:
        """Its WebSocket address."""
        return self.target.ws_url

    def address(self, service: int) -> str:
        """Return the address of its relay to a service."""
        return f"127.{10 + self._number}.0.{service}"

    def write_names(self, names: dict[str, str] | None = None) -> None:
        """Let its name server know these names, by default its own."""
        path = self._folder / f"{self.name}.names"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(self.names if names is None else names))
        new.replace(path)

    async def start(self, *, port: int = 0) -> None:
        """Start it, and wait until it is ready."""
        environment = {
            **self.environment,
            "PORT": str(port),
            "CHAOS_NAMES": str(self._folder / f"{self.name}.names"),
        }
        self._target = ProcessTarget(
            environment,
            command=[sys.executable, "-m", "tests.chaos.gateway"],
            start_seconds=START_SECONDS,
            stop_seconds=STOP_SECONDS,
        )
        await self._target.start()

    async def again(self) -> None:
        """Start it again at the same port."""
        await self.start(port=int(self.target.url.rpartition(":")[2]))

    async def count_moves(self, http: aiohttp.ClientSession) -> float:
        """Return the moves that this process has counted."""
        return await asking.metric(
            http, self.target.url, "gateway_evictions_total", evidence="move", mode="act"
        )

    async def usage(self, http: aiohttp.ClientSession) -> Usage:
        """Return what its process holds, from its metrics, its tasks and /proc."""
        pid, url = self.target.pid, self.target.url
        known = sum(line["event"] == "chaos_tasks" for line in self.target.logs())
        self.target.send_signal(signal.SIGUSR1)

        def newest() -> Any:
            lines = [line for line in self.target.logs() if line["event"] == "chaos_tasks"]
            return lines[-1] if len(lines) > known else None

        async with asyncio.timeout(START_SECONDS):
            while newest() is None:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
        descriptors, memory = held_by(pid)
        return Usage(
            connections=await asking.metric(http, url, "gateway_websocket_connections"),
            pending=await asking.metric(http, url, "gateway_pending_connections"),
            descriptors=descriptors,
            tasks=newest()["count"],
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
