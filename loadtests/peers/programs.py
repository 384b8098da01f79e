"""The programs of peers: where they are, which version they are, and how the one in Go is built."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from loadtests.common.errors import LoadTestError

ANSWER_SECONDS: Final = 10.0
BUILD_SECONDS: Final = 300.0

GO_LIBRARIES: Final = Path("/usr/share/gocode")
"""Where Debian puts the sources of Go's libraries."""

GO_WEBSOCKET: Final = "golang-github-gorilla-websocket-dev"

_SBIN: Final = ("/usr/local/sbin", "/usr/sbin")
"""Where Debian puts servers; not every PATH has it."""

_VERSION: Final = re.compile(r"\d+\.\d+\.\d+[\w.+~-]*")


def executable(name: str) -> str | None:
    """Return the path of a program, beside Python or on the PATH; PACKAGE/PATH is inside a Python package."""
    package, _, path = name.partition("/")
    if path:
        spec = importlib.util.find_spec(package)
        return str(Path(spec.origin).parent / path) if spec and spec.origin else None
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), *_SBIN]
    return shutil.which(name, path=os.pathsep.join(folders))


def program_version(program: str, *arguments: str) -> str:
    """Return the first version that a program prints, other than in its own path; "" if it prints none."""
    try:
        asked = subprocess.run(  # noqa: S603 - a peer's own program
            [program, *arguments], capture_output=True, timeout=ANSWER_SECONDS, check=False, text=True, errors="replace"
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search((asked.stdout + asked.stderr).replace(program, ""))
    return found[0] if found else ""


def go_compiler() -> str | None:
    """Return the path of Go's compiler; None if it or the WebSocket library is missing."""
    return executable("go") if (GO_LIBRARIES / "src/github.com/gorilla/websocket").is_dir() else None


def go_version(compiler: str) -> str:
    """Return the versions of the compiler and the WebSocket library."""
    library = program_version("dpkg-query", "-W", "-f", "${Version}", GO_WEBSOCKET)
    return f"{program_version(compiler, 'version')}, gorilla/websocket {library or 'unknown'}"


@functools.cache
def go_program(compiler: str, sources: Path) -> str:
    """Build a program in a folder that lasts as long as this process; return its path.

    Raises:
        LoadTestError: it cannot be built.
    """
    folder = Path(tempfile.mkdtemp(prefix="go-gateway-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = str(folder / "gateway")
    command = [compiler, "build", "-o", program, *map(str, sorted(sources.glob("*.go")))]
    # Debian's libraries come without modules; everything else that Go keeps is removed with the folder.
    settings = {
        "GO111MODULE": "off",
        "GOPATH": str(GO_LIBRARIES),
        "GOCACHE": str(folder / "cache"),
        "GOFLAGS": "",
    }
    try:
        built = subprocess.run(  # noqa: S603 - ours
            command, env={**os.environ, **settings}, capture_output=True, timeout=BUILD_SECONDS, check=False, text=True
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LoadTestError(f"go build did not finish within {BUILD_SECONDS:g} s") from None
    if built.returncode:
        raise LoadTestError(f"go build ended with exit code {built.returncode}:\n{built.stderr[-2000:]}")
    return program
