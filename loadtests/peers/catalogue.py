"""Every peer there is, by name. A new one is a file beside this, and a row here."""

from __future__ import annotations

from typing import Final

from loadtests.peers.direct import Direct
from loadtests.peers.gateway import Gateway
from loadtests.peers.peer import Peer
from loadtests.peers.websockets import Websockets

PEERS: Final[dict[str, Peer]] = {peer.name: peer for peer in (Direct(), Gateway(), Websockets())}

OURS: Final = Gateway.name
"""What the others are compared with."""
