"""The promise to handle 1000 concurrent connections, and what one of them costs in memory.

`HEARTBEAT_SECONDS` is how long they send heartbeats; in CI, the session `smoke` sets 30.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import struct
from collections.abc import Iterator
from functools import partial

import psutil
import pytest

from memmie_fake_auth import FakeAuth
from memmie_harness.fixture_types import StartGateway
from memmie_harness.targets import ProcessTarget

CONNECTIONS = 1000
SECONDS = int(os.environ.get("HEARTBEAT_SECONDS", "10"))
MAX_BYTES_PER_CONNECTION = 40 * 1024

MASK = b"mask"


class LightClient(asyncio.Protocol):
    """Speaks just enough WebSocket for a heartbeat: a thousand real clients would be what is measured.

    Attributes:
        opened: done when the upgrade is accepted.
        waiting: when each heartbeat that waits for its ack was sent, by id.
        answered: set while none waits.
        round_trips: seconds, of those that have theirs.
        lost: how the connection ended, None while it has not.
    """

    def __init__(self, token: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._token = token
        self._buffer = b""
        self._sent = 0
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.waiting: dict[str, float] = {}
        self.answered = asyncio.Event()
        self.round_trips: list[float] = []
        self.lost: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(
            b"GET /ws HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer " + self._token.encode() + b"\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done():
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._buffer = rest
            self.opened.set_result(None)
        while len(self._buffer) >= 2:
            first, length, at = self._buffer[0], self._buffer[1], 2
            if length == 126:
                if len(self._buffer) < 4:
                    return
                (length,), at = struct.unpack_from("!H", self._buffer, 2), 4
            if len(self._buffer) < at + length:
                return
            payload, self._buffer = self._buffer[at : at + length], self._buffer[at + length :]
            self._received(first & 0x0F, payload)

    def _received(self, opcode: int, payload: bytes) -> None:
        if opcode == 0x9:
            self._send(0xA, payload)
        elif opcode == 0x8:
            self.lost = f"closed {payload!r}"
        else:
            message = json.loads(payload)
            assert message["type"] == "ack"
            self.round_trips.append(self._loop.time() - self.waiting.pop(message["id"]))
            if not self.waiting:
                self.answered.set()

    def heartbeat(self) -> None:
        self._sent += 1
        self.answered.clear()
        self.waiting[str(self._sent)] = self._loop.time()
        self._send(0x1, b'{"type":"heartbeat","id":"%d"}' % self._sent)

    def _send(self, opcode: int, payload: bytes) -> None:
        masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
        self.transport.write(bytes((0x80 | opcode, 0x80 | len(payload))) + MASK + masked)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = self.lost or f"lost: {exc}"
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(self.lost))


@pytest.fixture
def many_files() -> Iterator[None]:
    """Each connection takes two sockets here and two in the gateway, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * CONNECTIONS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine allows {hard} open files, {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _same(client: LightClient) -> LightClient:
    return client


async def connect(target: ProcessTarget, tokens: list[str]) -> list[LightClient]:
    host, port = target.url.removeprefix("http://").split(":")
    clients = []
    for token in tokens:
        client = LightClient(token)
        clients.append(client)
        await asyncio.get_running_loop().create_connection(partial(_same, client), host, int(port))
    await asyncio.gather(*(client.opened for client in clients))
    return clients


async def beat(clients: list[LightClient], seconds: int) -> None:
    """Let every client send a heartbeat each second, evenly spread over it."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number in range(seconds * len(clients)):
        ahead = started + number / len(clients) - loop.time()
        if ahead > 0:
            await asyncio.sleep(ahead)
        clients[number % len(clients)].heartbeat()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("many_files")
@pytest.mark.memmie(env={"MAX_CONNECTIONS_PER_IP": 0, "CONNECT_RATE_PER_IP": 0, "DRAIN_SECONDS": 0})
async def test_a_thousand_connections_lose_no_heartbeat(
    memmie_start_gateway: StartGateway, memmie_auth: FakeAuth
) -> None:
    gateway = await memmie_start_gateway()
    assert isinstance(gateway, ProcessTarget)
    process = psutil.Process(gateway.pid)
    tokens = [memmie_auth.mint(f"user-{number}") for number in range(CONNECTIONS)]

    # The first connections make the process itself grow; what the others add is what a connection costs.
    clients = await connect(gateway, tokens[:50])
    before = process.memory_info().rss
    clients += await connect(gateway, tokens[50:])
    per_connection = (process.memory_info().rss - before) / (CONNECTIONS - 50)

    busy = sum(process.cpu_times()[:2])
    await beat(clients, SECONDS)
    async with asyncio.timeout(10):
        await asyncio.gather(*(client.answered.wait() for client in clients))
    busy = sum(process.cpu_times()[:2]) - busy

    assert [client.lost for client in clients if client.lost] == []
    round_trips = [seconds for client in clients for seconds in client.round_trips]
    assert len(round_trips) == CONNECTIONS * SECONDS
    cuts = statistics.quantiles(round_trips, n=100)
    print(  # noqa: T201 - pytest -s shows it
        f"\n{CONNECTIONS} connections: {per_connection / 1024:.1f} KB each when idle; {len(round_trips)} heartbeats, "
        f"round trip p50 {cuts[49] * 1000:.2f} ms, p99 {cuts[98] * 1000:.2f} ms; "
        f"gateway {busy / len(round_trips) * 1e6:.0f} µs CPU per round trip"
    )
    assert per_connection < MAX_BYTES_PER_CONNECTION
    for client in clients:
        client.transport.abort()
