"""A peer: a gateway to measure, or none. Each is a table of `peers.toml`; here is how it is found and run."""

from __future__ import annotations

import atexit
import contextlib
import functools
import http.client
import importlib.metadata
import importlib.util
import os
import re
import shutil
import string
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil
from pydantic import TypeAdapter

from loadtests.common.errors import LoadTestError
from loadtests.common.supervisor import announced_port, serving
from loadtests.common.usage import family
from memmie_harness.conformance.profile_file import READY_MADE
from memmie_harness.targets.command import free_port

DIRECT: Final = "direct"  # no gateway
OURS: Final = "gateway"  # which the others are compared with

READY: Final = (HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.UNAUTHORIZED)
"""Admitted, or refused without a token. Some servers listen before they know their routes or backend, and answer otherwise."""

ANSWER_SECONDS: Final = 1.0
VERSION_SECONDS: Final = 10.0
BUILD_SECONDS: Final = 300.0

HERE: Final = Path(__file__).parent
HOMES: Final = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "TMPDIR")
GO_LIBRARIES: Final = "/usr/share/gocode"  # where Debian puts the sources of Go's libraries
GO_WEBSOCKET: Final = "github.com/gorilla/websocket"
GO_PACKAGE: Final = "golang-github-gorilla-websocket-dev"
SBIN: Final = "/usr/local/sbin:/usr/sbin"  # where Debian puts servers; not every PATH has it
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+[\w.+~-]*")


def executable(name: str) -> str | None:
    """Return the path of a program, beside Python or on the PATH; PACKAGE/PATH is inside a Python package."""
    package, _, path = name.partition("/")
    if path:
        spec = importlib.util.find_spec(package)
        return str(Path(spec.origin).parent / path) if spec and spec.origin else None
    folders = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}:{SBIN}"
    return shutil.which(name, path=folders)


def program_version(program: str, *arguments: str) -> str:
    """Return the first version that a program prints, other than in its own path; "" if it prints none."""
    try:
        asked = subprocess.run(  # noqa: S603 - a peer's own program
            [program, *arguments], capture_output=True, timeout=VERSION_SECONDS, check=False, text=True, errors="replace"
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search((asked.stdout + asked.stderr).replace(program, ""))
    return found[0] if found else ""


@functools.cache
def go_program(compiler: str, sources: Path) -> str:
    """Build a program in a folder that lasts as long as this process; return its path."""
    folder = tempfile.mkdtemp(prefix="go-gateway-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = f"{folder}/gateway"
    command = [compiler, "build", "-o", program, *map(str, sorted(sources.glob("*.go")))]
    # Debian's libraries come without modules; everything else that Go keeps is removed with the folder.
    settings = {"GO111MODULE": "off", "GOPATH": GO_LIBRARIES, "GOCACHE": f"{folder}/cache", "GOFLAGS": ""}
    try:
        subprocess.run(  # noqa: S603 - ours
            command, env={**os.environ, **settings}, capture_output=True, timeout=BUILD_SECONDS, check=True, text=True
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LoadTestError(f"go build did not finish within {BUILD_SECONDS:g} s") from None
    except subprocess.CalledProcessError as error:
        words = f"go build ended with exit code {error.returncode}:\n{error.stderr[-2000:]}"
        raise LoadTestError(words) from None
    return program


class Template(string.Template):
    """Text with `@{name}` where a value goes: `$` and single braces mean something to the servers."""

    delimiter = "@"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A peer that is running: its URLs by protocol, and all its processes, none if there is nothing to measure."""

    urls: Mapping[str, str]
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A gateway to measure, or none; `peers.toml` says what its fields mean."""

    name: str
    about: str
    asks_auth: bool = False
    paths: Mapping[str, str] = field(default_factory=lambda: {"websocket": "/ws"})
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
        if self.go and not Path(GO_LIBRARIES, "src", GO_WEBSOCKET).is_dir():
            return None
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
            return importlib.metadata.version(self.version or self.python)
        version = program_version(program, self.version)
        if self.go:
            library = program_version("dpkg-query", "-W", "-f", "${Version}", GO_PACKAGE)
            return f"{version}, gorilla/websocket {library or 'unknown'}"
        return version

    @contextlib.contextmanager
    def start(
        self, backend_url: str, auth_url: str, *, connections: int, cores: frozenset[int] | None
    ) -> Iterator[Endpoint]:
        """Run it for the length of the block, on these cores (None for all), for at most so many connections at once.

        Everything it writes goes to a temporary folder, which is its home.
        """
        program = self.program()
        if program is None:
            if self.install:
                raise LoadTestError(f"{self.name} is not installed: {self.install}")
            yield Endpoint({"websocket": backend_url}, ())
            return
        if self.go:
            program = go_program(program, READY_MADE / self.go)
        port = free_port()
        with tempfile.TemporaryDirectory(prefix=f"{self.name}-") as folder:
            values = {"folder": folder, "port": port, **_values(backend_url, auth_url, connections)}

            def filled(text: str) -> str:
                return Template(text).substitute(values)

            for file in self.files:
                Path(folder, file).write_text(filled((HERE / "configs" / file).read_text()))
            environment = {
                **(dict.fromkeys(HOMES, folder) if self.files else {}),
                "GOMAXPROCS": "1",  # one core, so one thread that runs Go code, even if nothing is pinned
                **{key: filled(value) for key, value in self.environment.items()},
            }

            def answers(_: str) -> int | None:
                return port if handshake_status(port) in READY else None

            ready = announced_port if self.announces else answers
            command = [program, *map(filled, self.arguments)]
            with serving(self.name, command, cores=cores, environment=environment, ready=ready) as server:
                urls = {name: f"ws://127.0.0.1:{server.port}{path}" for name, path in self.paths.items()}
                yield Endpoint(urls, self._lasting(server.pid))

    def _lasting(self, pid: int) -> tuple[int, ...]:
        if not self.children:
            return family(pid)
        titles = {child.pid: " ".join(child.cmdline()) for child in psutil.Process(pid).children()}
        return (pid, *(each for each in titles if any(part in titles[each] for part in self.children)))


def _values(backend_url: str, auth_url: str, connections: int) -> dict[str, object]:
    """Return what goes into a peer's templates, besides its own folder and port."""
    backend = urlsplit(backend_url)
    return {
        "backend_url": backend_url,
        "backend": backend.netloc,
        "backend_host": backend.hostname,
        "backend_port": backend.port,
        "auth_url": auth_url,
        "auth": urlsplit(auth_url).netloc,
        "connections": connections + 100,
        # Both sides of each connection, and some more: nginx closes some when only a sixteenth is left.
        "sides": 2 * connections + connections // 4 + 200,
        "files": 3 * connections + 500,
        "far_above": 1_000_000,  # a limit that is counted and never reached
    }


def _tables() -> dict[str, dict[str, Any]]:
    """Return the table of each peer, with the fields of the one that it is like."""
    complete: dict[str, dict[str, Any]] = {}
    for table in tomllib.loads((HERE / "peers.toml").read_text())["peer"]:
        complete[table["name"]] = {**complete.get(table.pop("like", ""), {}), **table}
    return complete


PEERS: Final = TypeAdapter(dict[str, Peer]).validate_python(_tables())
"""Every peer, by name, in the order of the tables."""


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
