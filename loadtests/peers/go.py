"""A gateway written in Go on gorilla/websocket (`go_design/`), built when it is first needed."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Final

from loadtests.common.supervisor import run
from loadtests.peers.programs import executable, program_version

SOURCE: Final = Path(__file__).with_name("go_design")

LIBRARIES: Final = Path("/usr/share/gocode")
"""Where Debian puts the sources of Go's libraries."""

LIBRARY_PACKAGE: Final = "golang-github-gorilla-websocket-dev"

BUILD_SECONDS: Final = 300.0


def compiler() -> str | None:
    """Return the path of the compiler; None if it or the library is missing."""
    return executable("go") if (LIBRARIES / "src/github.com/gorilla/websocket").is_dir() else None


def version(go: str) -> str:
    """Return the versions of the compiler and the library."""
    library = program_version("dpkg-query", "-W", "-f", "${Version}", LIBRARY_PACKAGE)
    return f"{program_version(go, 'version')}, gorilla/websocket {library or 'unknown'}"


@functools.cache
def built_with(go: str) -> str:
    """Build the gateway in a folder that lasts as long as this process; return its path.

    Raises:
        LoadTestError: it cannot be built.
    """
    folder = Path(tempfile.mkdtemp(prefix="go-gateway-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Debian's libraries come without modules; everything else that Go keeps is removed with the folder.
    environment = {
        "GO111MODULE": "off",
        "GOPATH": str(LIBRARIES),
        "GOCACHE": str(folder / "cache"),
        "GOFLAGS": "",
    }
    program = str(folder / "gateway")
    sources = map(str, sorted(SOURCE.glob("*.go")))
    run("go build", [go, "build", "-o", program, *sources], environment=environment, seconds=BUILD_SECONDS)
    return program
