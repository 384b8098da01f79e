"""A gateway written in Go on gorilla/websocket (`go_design/`), built when it is first needed."""

from __future__ import annotations

import atexit
import contextlib
import functools
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from loadtests.benchmark.processes import run, serving
from loadtests.peers.configured import found
from loadtests.peers.peer import Endpoint, Peer, Stage
from loadtests.peers.version import told_by

SOURCE: Final = Path(__file__).with_name("go_design")

LIBRARIES: Final = Path("/usr/share/gocode")
"""Where Debian puts the sources of Go's libraries."""

LIBRARY_PACKAGE: Final = "golang-github-gorilla-websocket-dev"

BUILD_SECONDS: Final = 300.0


class Go(Peer):
    """Two goroutines a connection, with the duties of a gateway: it asks Auth, limits, counts and logs."""

    name = "go"
    about = "recv → send with gorilla/websocket in Go: auth at each connect, limits, counters, log"
    asks_auth = True

    def missing(self) -> str:
        """Look for the compiler and the library."""
        if found("go") and (LIBRARIES / "src/github.com/gorilla/websocket").is_dir():
            return ""
        return f"apt install golang-go {LIBRARY_PACKAGE}"

    def version(self) -> str:
        """Ask the compiler, and Debian for the library's."""
        library = told_by("dpkg-query", "-W", "-f", "${Version}", LIBRARY_PACKAGE)
        return f"{told_by(found('go') or 'go', 'version')}, gorilla/websocket {library or 'unknown'}"

    @contextlib.asynccontextmanager
    async def start(self, stage: Stage) -> AsyncIterator[Endpoint]:
        """Build it, unless this process has already, and run it."""
        command = [await _built(), stage.backend_url, stage.auth_url]
        async with serving(
            "the Go gateway", command, cores=stage.cores, environment={"GOMAXPROCS": "1"}
        ) as server:
            yield Endpoint(f"ws://127.0.0.1:{server.port}/ws", (server.pid,))


async def _built() -> str:
    program = _workshop() / "gateway"
    if not program.exists():
        command = [found("go") or "go", "build", "-o", str(program), *map(str, sorted(SOURCE.glob("*.go")))]
        # Debian's libraries come without modules, and everything else that Go keeps goes with the folder.
        environment = {
            "GO111MODULE": "off",
            "GOPATH": str(LIBRARIES),
            "GOCACHE": str(program.with_name("cache")),
            "GOFLAGS": "",
        }
        await run("go build", command, environment=environment, seconds=BUILD_SECONDS)
    return str(program)


@functools.cache
def _workshop() -> Path:
    """Return a folder that lasts as long as this process."""
    folder = tempfile.mkdtemp(prefix="go-gateway-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
