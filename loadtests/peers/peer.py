"""A peer: a gateway to measure, or none. Each is a table of `peers.toml`; here is how it is run."""

from __future__ import annotations

import contextlib
import http.client
import importlib.metadata
import importlib.util
import socket
import string
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil
from pydantic import TypeAdapter

from loadtests.common.errors import LoadTestError
from loadtests.common.supervisor import announced_port, serving
from loadtests.common.usage import family
from loadtests.peers.programs import executable, go_compiler, go_program, go_version, program_version

DIRECT: Final = "direct"
"""No gateway."""

OURS: Final = "gateway"
"""The peer that the others are compared with."""

CONFIGURATIONS: Final = Path(__file__).with_name("configs")

FAR_ABOVE: Final = 1_000_000
"""A limit that is counted and never reached."""

ANSWER_SECONDS: Final = 1.0

READY: Final = (HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.UNAUTHORIZED)
"""Admitted, or refused without a token. Some servers listen before they know their routes or backend, and answer otherwise."""

HOMES: Final = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "TMPDIR")


class Template(string.Template):
    """Text with `@{name}` where a value goes: `$` and single braces mean something to the servers."""

    delimiter = "@"


@dataclass(frozen=True, slots=True)
class Stage:
    """What a peer is started with: the backend's and Auth's URLs, the most connections at once, and the cores it may run on."""

    backend_url: str
    auth_url: str
    connections: int
    cores: frozenset[int] | None

    def values(self, folder: Path, port: int) -> dict[str, object]:
        """Return the values of templates, for a peer with its own folder and port."""
        backend = urlsplit(self.backend_url)
        return {
            "folder": folder,
            "port": port,
            "backend_url": self.backend_url,
            "backend": backend.netloc,
            "backend_host": backend.hostname,
            "backend_port": backend.port,
            "auth_url": self.auth_url,
            "auth": urlsplit(self.auth_url).netloc,
            "connections": self.connections + 100,
            # Both sides of each connection, and some more: nginx closes some when only a sixteenth is left.
            "sides": 2 * self.connections + self.connections // 4 + 200,
            "files": 3 * self.connections + 500,
            "far_above": FAR_ABOVE,
        }


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A peer that is running: the URL that clients connect to, and all its processes, none if there is nothing to measure."""

    url: str
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A gateway to measure, or none; `peers.toml` says what its fields mean."""

    name: str
    about: str
    asks_auth: bool = False
    install: str = ""
    programs: tuple[str, ...] = ()
    python: str = ""
    go: str = ""
    version: str = ""
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    announces: bool = False
    children: tuple[str, ...] = ()

    def headers(self, token: str) -> dict[str, str]:
        """Return the request headers that admit a client; none if the peer asks nobody."""
        return {"Authorization": f"Bearer {token}"} if self.asks_auth else {}

    def program(self) -> str | None:
        """Return the path of what runs it; None if it is not installed, or if there is nothing to run."""
        if self.python:
            return sys.executable if importlib.util.find_spec(self.python) else None
        if self.go:
            return go_compiler()
        return next(filter(None, map(executable, self.programs)), None)

    def missing(self) -> str:
        """Return how to get what is not installed; "" if nothing is missing."""
        return "" if self.program() else self.install

    def installed_version(self) -> str:
        """Return the version of it, or of what it is built on; "" if it is unknown."""
        program = self.program()
        if program is None:
            return ""
        if self.python:
            return importlib.metadata.version(self.python)
        return go_version(program) if self.go else program_version(program, self.version)

    @contextlib.contextmanager
    def start(self, stage: Stage) -> Iterator[Endpoint]:
        """Run it for the length of the block; everything it writes goes to a temporary folder, which is its home.

        Raises:
            LoadTestError: it does not start.
        """
        program = self.program()
        if program is None:
            if self.install:
                raise LoadTestError(f"{self.name} is not installed: {self.install}")
            yield Endpoint(stage.backend_url, ())
            return
        if self.go:
            program = go_program(program, Path(__file__).with_name(self.go))
        port = free_port()
        with tempfile.TemporaryDirectory(prefix=f"{self.name}-") as name:
            folder = Path(name)
            values = stage.values(folder, port)
            for file in self.files:
                (folder / file).write_text(_filled((CONFIGURATIONS / file).read_text(), values))
            with serving(
                self.name,
                [program, *(_filled(argument, values) for argument in self.arguments)],
                cores=stage.cores,
                # One core, so one thread that runs Go code, even if nothing is pinned.
                environment={
                    **(dict.fromkeys(HOMES, name) if self.files else {}),
                    "GOMAXPROCS": "1",
                    **{key: _filled(value, values) for key, value in self.environment.items()},
                },
                ready=announced_port
                if self.announces
                else lambda _: port if handshake_status(port) in READY else None,
            ) as server:
                yield Endpoint(f"ws://127.0.0.1:{server.port}/ws", self._lasting(server.pid))

    def _lasting(self, pid: int) -> tuple[int, ...]:
        if not self.children:
            return family(pid)
        children = psutil.Process(pid).children()
        return (
            pid,
            *(
                each.pid
                for each in children
                if any(part in " ".join(each.cmdline()) for part in self.children)
            ),
        )


PEERS: Final = {
    peer.name: peer
    for peer in TypeAdapter(list[Peer]).validate_python(
        tomllib.loads(Path(__file__).with_name("peers.toml").read_text())["peer"]
    )
}
"""Every peer, by name, in the order of the tables."""


def _filled(text: str, values: Mapping[str, object]) -> str:
    return Template(text).substitute(values)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def handshake_status(port: int, token: str | None = None) -> int | None:
    """Return the HTTP status of a WebSocket handshake for `/ws`, with this bearer token or none; None for no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **({"Authorization": f"Bearer {token}"} if token else {}),
    }
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/ws", headers=headers)
        return connection.getresponse().status
    return None
