"""Every peer there is, by name. A new one is a file beside this, and a row here."""

from __future__ import annotations

from typing import Final

from loadtests.peers.aiohttp import Aiohttp
from loadtests.peers.caddy import Caddy
from loadtests.peers.direct import Direct
from loadtests.peers.envoy import Envoy
from loadtests.peers.gateway import Gateway
from loadtests.peers.go import Go
from loadtests.peers.haproxy import Haproxy
from loadtests.peers.nginx import Nginx
from loadtests.peers.peer import Peer
from loadtests.peers.traefik import Traefik
from loadtests.peers.websockets import Websockets

_ALL: Final[tuple[Peer, ...]] = (
    Direct(),
    Gateway(),
    Nginx(),
    Haproxy(),
    Envoy(),
    Caddy(),
    Traefik(),
    Go(),
    Aiohttp(),
    Websockets(),
)

PEERS: Final[dict[str, Peer]] = {peer.name: peer for peer in _ALL}

OURS: Final = Gateway.name
"""What the others are compared with."""
