"""Say in one line which library a command of this folder needs and does not find."""

from __future__ import annotations

import importlib.util
import sys
from typing import Final

EXIT_USAGE: Final = 2

_HOW: Final = (
    "`nox -s bench -- …` and `nox -s load -- …` install everything; "
    "or: uv pip install -r requirements/load.txt -r requirements/workspace.txt"
)


def demand(command: str, *modules: str) -> None:
    """End the process if a module that the command needs is not installed."""
    if missing := [name for name in modules if importlib.util.find_spec(name) is None]:
        print(f"{command}: not installed here: {', '.join(missing)}. {_HOW}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
