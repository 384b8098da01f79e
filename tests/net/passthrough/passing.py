"""Connections over long-polling to a Studio that speaks Socket.IO itself, byte by byte."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tests.net.scripted_http import HttpPeer, ScriptedHttp
from tests.net.socketio import PollingPeer, upgrade

from memmie_gateway import Gateway
from memmie_gateway.net.socketio.passed_session import PassedSession
from memmie_gateway.net.stores.local import LocalSlots
from memmie_harness.conformance.peers import Peer

TEXT_FIELDS: Final = ("Content-Type: text/plain; charset=UTF-8", "Connection: close")

ABOUT: Final = {
    "upgrades": ["websocket"],
    "pingInterval": 25000,
    "pingTimeout": 20000,
    "maxPayload": 1000000,
}

Open = Callable[..., Awaitable[PollingPeer]]
"""Opens a connection with a gateway."""


def open_packet(sid: str, **changes: Any) -> bytes:
    return b"0" + json.dumps({"sid": sid, **ABOUT, **changes}).encode()


async def request_of(studio: ScriptedHttp) -> HttpPeer:
    """Return the next request that has reached Studio."""
    peer = await studio.arrival()
    assert isinstance(peer, HttpPeer)
    return peer


async def polling(client: PollingPeer, studio: ScriptedHttp) -> tuple[Peer, HttpPeer]:
    """Let a client poll; return both ends."""
    peer = await client.begin("GET")
    return peer, await request_of(studio)


async def begin_upgrade(client: PollingPeer, gateway: Gateway) -> Peer:
    """Let a client send the handshake of its upgrade."""
    peer = await client._dial(gateway)
    peer.write(upgrade(client.query.replace("polling", "websocket"), *client._extra))
    return peer


def polled(gateway: Gateway) -> list[PassedSession]:
    """Return the connections that poll."""
    assert gateway.parts.passthrough is not None
    return list(gateway.parts.passthrough._by_sid.values())


def places(gateway: Gateway, user: str = "u1") -> int:
    """Return the number of places that a user has."""
    users = gateway.parts.admission.stores.users
    assert isinstance(users, LocalSlots)
    return users._counts.held(user)
