"""Clients that speak Socket.IO, packet by packet."""

from __future__ import annotations

import json
from typing import Any, Self

from tests.net.pair import Dial
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_gateway import Gateway
from memmie_harness.conformance.peers import CLOSE, TEXT, Peer

QUERY = "EIO=4&transport=websocket"


def upgrade(query: str = QUERY, *extra: str) -> bytes:
    """Build the handshake of a WebSocket of Engine.IO."""
    lines = [
        f"GET /socket.io/?{query} HTTP/1.1",
        "Host: gateway",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *extra,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class SocketIoPeer:
    """A client with a WebSocket, and the packets of Engine.IO on it."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.open: dict[str, Any] = {}
        self.studio: Peer

    @classmethod
    async def dial(cls, dial: Dial, gateway: Gateway, *extra: str, query: str = QUERY) -> Self:
        """Open a connection of Engine.IO."""
        client = cls(await dial(gateway))
        client.peer.write(upgrade(query, *extra))
        assert (await client.peer.read_head()).status == 101
        packet = await client.read()
        assert packet.startswith("0")
        client.open = json.loads(packet[1:])
        return client

    async def connect(self, token: str, studio: ScriptedStudio) -> Self:
        """Connect to the default namespace, and to Studio."""
        self.send(f'40{{"token":"{token}"}}')
        self.studio = await studio.arrival()
        accept(self.studio)
        assert (await self.read()).startswith('40{"sid":"')
        return self

    def send(self, packet: str) -> None:
        self.peer.send(TEXT, packet)

    async def read(self) -> str:
        """Read a packet, but no ping, which is answered."""
        while (packet := await self.read_packet()) == "2":
            self.send("3")
        return packet

    async def read_packet(self) -> str:
        opcode, payload = await self.peer.read_message()
        assert opcode == TEXT, (opcode, payload)
        return payload.decode()

    async def read_close(self) -> tuple[int, str]:
        """Read up to a Close frame."""
        frame = await self.peer.read_frame()
        assert frame.opcode == CLOSE, frame
        return int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode()
