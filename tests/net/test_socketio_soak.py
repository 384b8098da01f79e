"""Numbered messages each way over long-polling, the upgrade in between, and a WebSocket: none is lost, doubled or late.

`SOCKETIO_SOAK` is the number of messages each way.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Final

import pytest
from tests.net.pair import Dial, StartGateway
from tests.net.scripted_studio import ScriptedStudio
from tests.net.socketio import PollingPeer, SocketIoPeer

from memmie_fake_auth import FakeAuth
from memmie_harness.conformance.peers import TEXT, Peer

MESSAGES: Final = int(os.environ.get("SOCKETIO_SOAK", "2000"))
BATCH: Final = 40


def padding(number: int) -> str:
    """Return a text of another size for each number, a few of them large."""
    return "é" * (50_000 if number % 997 == 0 else number % 50)


async def studio_sends(studio: Peer) -> None:
    for number in range(MESSAGES):
        studio.send(TEXT, json.dumps({"type": "n", "data": [number, padding(number)]}, ensure_ascii=False))
        if number % BATCH == 0:
            await studio.writer.drain()
            await asyncio.sleep(0)


async def studio_reads(studio: Peer) -> list[list[object]]:
    read: list[list[object]] = []
    while len(read) < MESSAGES:
        opcode, payload = await studio.read_message()
        if opcode == TEXT:  # large events are followed by pongs
            read.append(json.loads(payload)["data"])
    return read


class Numbered:
    """A client that sends numbers while it reads those of Studio."""

    def __init__(self, polling: PollingPeer) -> None:
        self.polling = polling
        self.sent = 0
        self.got: list[object] = []
        self.websocket: SocketIoPeer

    def take(self, *packets: str) -> None:
        self.got += [json.loads(packet[2:])[1] for packet in packets if packet.startswith("42")]

    def next_batch(self) -> list[str]:
        numbers = range(self.sent, min(self.sent + BATCH, MESSAGES))
        self.sent = numbers.stop
        return [f"42{json.dumps(['n', [number, padding(number)]])}" for number in numbers]

    async def poll_until(self, stopped: asyncio.Event) -> None:
        while not stopped.is_set():
            self.take(*await self.polling.get())

    async def run(self) -> None:
        """Poll for the first half, upgrade while messages pass in both directions, and go on."""
        stopped = asyncio.Event()
        polls = asyncio.create_task(self.poll_until(stopped))
        while self.sent < MESSAGES // 2:
            await self.polling.post(*self.next_batch())
        self.websocket = SocketIoPeer(await self.polling.upgrade())
        self.websocket.send("2probe")
        assert await self.websocket.read_packet() == "3probe"
        stopped.set()
        await polls  # the last poll is answered
        self.websocket.send("5")
        await asyncio.gather(self.send_rest(), self.read_rest())

    async def send_rest(self) -> None:
        peer = self.websocket.peer
        while self.sent < MESSAGES:
            peer.write(b"".join(peer.frame(TEXT, packet) for packet in self.next_batch()))
            await peer.writer.drain()

    async def read_rest(self) -> None:
        while len(self.got) < MESSAGES:
            self.take(await self.websocket.read())


@pytest.mark.slow
async def test_every_number_comes_once_and_in_order(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway(WRITE_BUFFER_BYTES="16384")
    polling = await (await PollingPeer.dial(dial, gateway)).connect(auth.mint(), studio)
    client = Numbered(polling)
    _, _, read = await asyncio.gather(
        client.run(), studio_sends(polling.studio), studio_reads(polling.studio)
    )
    expected = [[number, padding(number)] for number in range(MESSAGES)]
    assert read == expected
    assert client.got == expected
