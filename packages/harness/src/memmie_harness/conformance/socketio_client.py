"""A client that speaks Socket.IO over WebSocket, packet by packet.

https://socket.io/docs/v4/engine-io-protocol, https://socket.io/docs/v4/socket-io-protocol
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from memmie_harness.conformance.checks import true
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Ended, Violation
from memmie_harness.conformance.pair import accept
from memmie_harness.conformance.peers import TEXT
from memmie_harness.conformance.peers.side import Side

# Engine.IO packets.
PING, PONG, MESSAGE = "2", "3", "4"

# Socket.IO packets, each in an Engine.IO message.
CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR = "40", "41", "42", "43", "44"


class Client:
    """A client that speaks Socket.IO.

    Args:
        side: its end of a WebSocket.
    """

    def __init__(self, side: Side) -> None:
        self.side = side
        self.opening: dict[str, Any] = {}
        """The data of the Engine.IO packet `open`."""

    def send(self, packet: str) -> None:
        """Send a packet."""
        self.side.send(TEXT, packet)

    async def packet(self) -> str:
        """Read a packet; pings of Engine.IO are answered."""
        try:
            async with asyncio.timeout(self.side.patience):
                while (packet := await self.any_packet()) == PING:
                    self.send(PONG)
        except TimeoutError:
            words = f"only pings within {self.side.patience:g} s"
            raise Violation("a packet other than a ping", words) from None
        return packet

    async def any_packet(self) -> str:
        """Read a packet, which may be a ping."""
        opcode, payload = await self.side.message()
        true("a packet in a text message", opcode == TEXT, payload)
        return payload.decode()

    async def expect(self, kind: str) -> Any:
        """Read a packet, and check its type; return its JSON."""
        packet = await self.packet()
        true(f"a packet that begins with {kind}", packet.startswith(kind), packet)
        return read_json(packet.removeprefix(kind) or "null")

    async def rest(self) -> list[str]:
        """Return the packets up to a Close frame, or to the end of the connection."""
        packets: list[str] = []
        while True:
            try:
                frame = await self.side.read_frame()
            except Ended:
                return packets
            if frame.opcode == 8:
                return packets
            packets.append(frame.payload.decode("utf-8", "replace"))


def read_json(text: str) -> Any:
    """Return the content of a JSON text."""
    try:
        return json.loads(text)
    except ValueError:
        raise Violation("JSON", text) from None


def handshake(lab: Lab, version: str = "4", token: str = "") -> bytes:
    """Build the handshake of a client; by default without a token, which comes with CONNECT."""
    path = lab.setup.text("socketio_path")
    return lab.request(target=path, query=f"EIO={version}&transport=websocket", token=token)


async def opened(lab: Lab) -> Client:
    """Connect a client, up to the packet `open`."""
    side = await lab.dial()
    side.write(handshake(lab))
    await lab.accepted(side)
    client = Client(side)
    client.opening = await client.expect("0")
    return client


async def join(lab: Lab) -> tuple[Client, Side]:
    """Connect a client to a Studio."""
    client = await opened(lab)
    client.send(CONNECT + json.dumps({"token": lab.token}))
    studio = await lab.arrival()
    accept(studio)
    await client.expect(CONNECT)
    return client, studio


async def backend_message(studio: Side) -> dict[str, Any]:
    """Return the next message for the backend."""
    opcode, payload = await studio.message()
    message = read_json(payload.decode())
    true("a JSON object in a text message", opcode == TEXT and isinstance(message, dict), payload)
    return dict(message)
