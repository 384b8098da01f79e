"""Clients that speak Socket.IO, packet by packet."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

import socketio
from tests.net.pair import Dial
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_gateway import Gateway
from memmie_harness.conformance.peers import CLOSE, TEXT, Head, Peer

QUERY = "EIO=4&transport=websocket"


async def shut_down(client: socketio.AsyncClient) -> None:
    """End a client of python-socketio, which may go on trying to reconnect after its own `shutdown`."""
    await client.shutdown()
    if client._reconnect_task is not None:
        client._reconnect_task.cancel()
        await asyncio.gather(client._reconnect_task, return_exceptions=True)


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


class PollingPeer:
    """A client that polls; each request has its own TCP connection."""

    def __init__(self, dial: Dial, gateway: Gateway, *extra: str) -> None:
        self.open: dict[str, Any] = {}
        self.studio: Peer
        self.packets: list[str] = []  # read, and not looked at yet
        self._dial = dial
        self._extra = extra
        self._gateway = gateway

    @classmethod
    async def dial(cls, dial: Dial, gateway: Gateway, *extra: str) -> Self:
        """Open a connection of Engine.IO."""
        client = cls(dial, gateway, *extra)
        (packet,) = await client.get()
        client.open = json.loads(packet[1:])
        return client

    async def connect(self, token: str, studio: ScriptedStudio) -> Self:
        """Connect to the default namespace, and to Studio."""
        assert await self.post(f'40{{"token":"{token}"}}') == "ok"
        self.studio = await studio.arrival()
        accept(self.studio)
        assert (await self.read()).startswith('40{"sid":"')
        return self

    @property
    def query(self) -> str:
        sid = f"&sid={self.open['sid']}" if self.open else ""
        return f"EIO=4&transport=polling{sid}"

    async def begin(
        self, method: str, *extra: str, query: str = "", body: bytes = b"", length: int = -1
    ) -> Peer:
        """Send a request, and do not read the answer."""
        peer = await self._dial(self._gateway, limit=1 << 22)
        lines = [
            f"{method} /socket.io/?{query or self.query} HTTP/1.1",
            "Host: gateway",
            *self._extra,
            *extra,
        ]
        if method == "POST":
            lines.append(f"Content-Length: {len(body) if length < 0 else length}")
        peer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        return peer

    async def ask(self, method: str, *extra: str, query: str = "", body: bytes = b"") -> Head:
        """Send a request, and return the answer."""
        return await (await self.begin(method, *extra, query=query, body=body)).read_head()

    async def get(self) -> list[str]:
        answer = await self.ask("GET")
        assert answer.status == 200, answer
        return answer.body.decode().split("\x1e")

    async def post(self, *packets: str) -> str:
        answer = await self.ask("POST", body="\x1e".join(packets).encode())
        assert answer.status == 200, answer
        return answer.body.decode()

    async def read(self) -> str:
        """Read a packet, but no ping, which is answered."""
        while True:
            while not self.packets:
                self.packets = await self.get()
            packet = self.packets.pop(0)
            if packet != "2":
                return packet
            await self.post("3")

    async def upgrade(self) -> Peer:
        """Send the handshake of the upgrade."""
        peer = await self._dial(self._gateway)
        peer.write(upgrade(self.query.replace("polling", "websocket"), *self._extra))
        assert (await peer.read_head()).status == 101
        return peer

    async def go_on(self) -> SocketIoPeer:
        """Upgrade to a WebSocket."""
        peer = await self.upgrade()
        client = SocketIoPeer(peer)
        client.studio = self.studio
        client.send("2probe")
        assert await client.read_packet() == "3probe"
        client.send("5")
        return client


def problem(head: Head) -> tuple[int, int]:
    """Return the status of a refusal, and the code of Engine.IO."""
    return head.status, json.loads(head.body)["code"]
