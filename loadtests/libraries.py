"""What a command of this folder says in one line: its version, or which library it needs and does not find."""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import version
from typing import Final

EXIT_USAGE: Final = 2

_HOW: Final = (
    "Install them with `.venv/bin/uv pip install -r requirements/load.txt -r requirements/workspace.txt`, "
    "and for the benchmark also with `-r requirements/peers.txt`. "
    "`nox -s load -- …` and `nox -s bench -- …` need no such step, because they install into an environment of their own."
)


def demand(command: str, *modules: str) -> None:
    """End the process if a module that the command needs is not installed."""
    if missing := [name for name in modules if importlib.util.find_spec(name) is None]:
        print(f"{command}: these libraries are not installed: {', '.join(missing)}. {_HOW}", file=sys.stderr)
        sys.exit(EXIT_USAGE)


def show_version(command: str) -> None:
    """Answer `--version`, and end the process; the version is that of the gateway, which is in the same clone."""
    if sys.argv[1:] == ["--version"]:
        print(f"{command} {version('memmie-gateway')}")
        sys.exit()
