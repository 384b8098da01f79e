"""Build the gateway in `go_design` and become it: `python build_go.py FOLDER BACKEND_URL AUTH_URL`, or `--version`.

Go keeps what it has compiled, so only the first build takes more than a moment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent / "go_design"

DEBIAN: Final = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""}
"""Debian's libraries come without modules."""

LIBRARY: Final = "golang-github-gorilla-websocket-dev"


def _output(*command: str) -> str:
    asked = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603 - names are above
    return asked.stdout.strip()


def _main(arguments: list[str]) -> None:
    if arguments == ["--version"]:
        library = _output("dpkg-query", "-W", "-f", "${Version}", LIBRARY)
        sys.stdout.write(f"{_output('go', 'version')}, gorilla/websocket {library}\n")
        return
    program = Path(arguments[0], "gateway")
    files = sorted(map(str, SOURCES.glob("*.go")))
    subprocess.run(  # noqa: S603 - our own sources
        ["go", "build", "-o", str(program), *files],  # noqa: S607 - it is looked up in PATH
        env={**os.environ, **DEBIAN},
        check=True,
    )
    os.execv(program, [str(program), *arguments[1:]])  # noqa: S606 - it takes this process's place, and gets its signals


if __name__ == "__main__":
    _main(sys.argv[1:])
