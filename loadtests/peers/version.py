"""Asking a program for its version."""

from __future__ import annotations

import re
import subprocess
from typing import Final

SECONDS: Final = 10.0

_VERSION: Final = re.compile(r"\d+\.\d+\.\d+[\w.+~-]*")


def told_by(program: str, *arguments: str) -> str:
    """Return the first version that a program prints, other than in its own path; "" where it prints none."""
    try:
        asked = subprocess.run(  # noqa: S603 - a peer's own program
            [program, *arguments],
            capture_output=True,
            timeout=SECONDS,
            check=False,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    told = _VERSION.search((asked.stdout + asked.stderr).replace(program, ""))
    return told[0] if told else ""
