"""Servers that are not ours: a program, configuration files, and a port that they are told to listen on."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import string
import sys
import tempfile
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import urlsplit

import psutil

from loadtests.benchmark.processes import serving
from loadtests.peers.handshake import answering
from loadtests.peers.peer import Endpoint, Peer, Stage
from loadtests.peers.version import told_by

CONFIGURATIONS: Final = Path(__file__).with_name("configs")

FAR_ABOVE: Final = 1_000_000
"""A limit that is counted all the same, and never reached."""

_SBIN: Final = ("/usr/local/sbin", "/usr/sbin")
"""Where Debian puts servers, which is not on everybody's PATH."""


class Configuration(string.Template):
    """A configuration file with `@{name}` where a value goes: `$` and single braces mean something to the servers."""

    delimiter = "@"


class ConfiguredPeer(Peer):
    """A server with configuration files.

    Everything it writes goes into a temporary folder, which is its home, and where its files are.

    Attributes:
        files: the names of its files in `configs/`.
        packages: what brings its program, for who has not got it.
        asks_version: the argument that has the program print its version.
    """

    files: ClassVar[tuple[str, ...]]
    packages: ClassVar[str]
    asks_version: ClassVar[str] = "-v"

    @abstractmethod
    def program(self) -> str | None:
        """Return the path of its program; None where it is not installed."""

    @abstractmethod
    def arguments(self, folder: Path) -> Sequence[str]:
        """Return the program's arguments, with its files in `folder`; it must stay in the foreground."""

    def processes(self, server: psutil.Process) -> Sequence[psutil.Process]:
        """Return all processes that a running server consists of."""
        return [server, *server.children(recursive=True)]

    def version(self) -> str:
        """Ask the program."""
        program = self.program()
        return told_by(program, self.asks_version) if program else ""

    def missing(self) -> str:
        """Look for the program."""
        return "" if self.program() else self.packages

    @contextlib.asynccontextmanager
    async def start(self, stage: Stage) -> AsyncIterator[Endpoint]:
        """Fill in its files, and run it."""
        program = self.program()
        assert program is not None  # noqa: S101 - who is missing is not started
        port = free_port()
        backend = urlsplit(stage.backend_url)
        values = {
            "port": port,
            "backend": backend.netloc,
            "backend_host": backend.hostname,
            "backend_port": backend.port,
            "auth": urlsplit(stage.auth_url).netloc,
            "connections": stage.connections + 100,
            # Both sides of each connection, and room: nginx ends some as soon as only a sixteenth is left.
            "sides": 2 * stage.connections + stage.connections // 4 + 200,
            "files": 3 * stage.connections + 500,
            "far_above": FAR_ABOVE,
        }
        with tempfile.TemporaryDirectory(prefix=f"{self.name}-") as name:
            folder = Path(name)
            for file in self.files:
                text = Configuration((CONFIGURATIONS / file).read_text())
                (folder / file).write_text(text.substitute(values, folder=folder))
            command = [program, *self.arguments(folder)]
            async with serving(
                self.name,
                command,
                cores=stage.cores,
                environment=_environment(folder),
                listening=lambda: answering(port),
            ) as server:
                pids = [process.pid for process in self.processes(psutil.Process(server.pid))]
                yield Endpoint(f"ws://127.0.0.1:{port}/ws", tuple(pids))


def found(*names: str) -> str | None:
    """Return the path of the first of these programs that is installed, beside Python or on the PATH."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), *_SBIN]
    return next((path for name in names if (path := shutil.which(name, path=os.pathsep.join(folders)))), None)


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(folder: Path) -> dict[str, str]:
    homes = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "TMPDIR")
    # One core, so one thread that runs Go code, also where nothing is pinned.
    return {**dict.fromkeys(homes, str(folder)), "GOMAXPROCS": "1"}
