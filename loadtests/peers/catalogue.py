"""Every peer, by name, from `peers.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from loadtests.peers.peer import Peer

DIRECT: Final = "direct"
"""No gateway."""

OURS: Final = "gateway"
"""The peer that the others are compared with."""

_TABLE: Final = tomllib.loads(Path(__file__).with_name("peers.toml").read_text())

PEERS: Final = {peer.name: peer for peer in TypeAdapter(list[Peer]).validate_python(_TABLE["peer"])}
