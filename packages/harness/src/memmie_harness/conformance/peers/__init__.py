"""Peers that are scripted byte by byte: clients, Studios and an Auth."""

from memmie_harness.conformance.peers.frames import (
    BINARY,
    CLOSE,
    CONT,
    MASK,
    PING,
    PONG,
    TEXT,
    Frame,
    build,
    close_body,
    in_chunks,
    masked,
)
from memmie_harness.conformance.peers.heads import (
    KEY,
    Head,
    accept_for,
    accepting_answer,
    parse_head,
    upgrade_request,
)
from memmie_harness.conformance.peers.peer import PATIENCE, Peer
from memmie_harness.conformance.peers.server import PeerServer

__all__ = [
    "BINARY",
    "CLOSE",
    "CONT",
    "KEY",
    "MASK",
    "PATIENCE",
    "PING",
    "PONG",
    "TEXT",
    "Frame",
    "Head",
    "Peer",
    "PeerServer",
    "accept_for",
    "accepting_answer",
    "build",
    "close_body",
    "in_chunks",
    "masked",
    "parse_head",
    "upgrade_request",
]
