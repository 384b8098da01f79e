"""Back-pressure: a slow receiver stops its sender, nothing is lost, and neighbours do not notice."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from memmie_harness.conformance.checks import true
from memmie_harness.conformance.group import FEATURE, MUST, Group
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.peers import BINARY, TEXT
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.data import both, ends

GROUP = Group("pressure", "Back-pressure")

MEBIBYTE = 1 << 20
CHUNK = 128 * 1024
SMALL_BUFFER = 64 * 1024
"""The receive buffer of the slow side in bytes, so that the kernel takes little for it."""


def kernel_bytes() -> int:
    """Return how many bytes the sockets on the way may hold together (`man 7 tcp`).

    They are the sender's, and the two of the gateway; that of the slow receiver is small.
    """

    def largest(name: str, usual: int) -> int:
        try:
            return int(Path(f"/proc/sys/net/ipv4/{name}").read_text(encoding="ascii").split()[2])
        except (OSError, ValueError, IndexError):
            return usual

    return largest("tcp_rmem", 6 * MEBIBYTE) + 2 * largest("tcp_wmem", 4 * MEBIBYTE) + MEBIBYTE


def stop_reading(receiver: Side) -> None:
    """Let a side take no more bytes, and its kernel few."""
    receiver.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    receiver.writer.transport.pause_reading()  # type: ignore[attr-defined] # a stream's transport reads


async def send_until_stalled(sender: Side, most: int, stalled_seconds: float) -> int:
    """Send messages until no byte is taken for some time, or until `most` bytes are sent; return how many were sent."""
    sender.writer.transport.set_write_buffer_limits(high=CHUNK)
    payload = b"x" * CHUNK
    sent = 0
    while sent < most:
        sender.send(BINARY, payload)
        sent += len(payload)
        try:
            async with asyncio.timeout(stalled_seconds):
                await sender.writer.drain()
        except TimeoutError:
            return sent
    return sent


@GROUP.table(
    level=FEATURE,
    rule="spec §7 (WRITE_BUFFER_BYTES)",
    needs=["buffer_bytes"],
    rows=both(
        "stops-the-sender",
        "If the receiver reads nothing, messages {} are no longer taken, and nothing is lost",
    ),
    seconds=60,
)
async def stops_the_sender(lab: Lab, direction: str) -> None:
    client = await lab.dial(receive_buffer=SMALL_BUFFER)
    sender, receiver = ends(await lab.join(client=client), direction)
    stop_reading(receiver)
    most = kernel_bytes() + int(lab.setup.number("buffer_bytes"))
    sent = await send_until_stalled(sender, most + MEBIBYTE, 1.0)
    true(f"fewer than {most} bytes taken", sent < most, f"{sent} bytes")
    neighbour = await lab.join()
    await neighbour.exchange()
    receiver.writer.transport.resume_reading()  # type: ignore[attr-defined] # see above
    for _ in range(sent // CHUNK):
        opcode, payload = await receiver.message()
        true(
            "the messages as they were sent",
            opcode == BINARY and payload == b"x" * CHUNK,
            f"{len(payload)} bytes",
        )


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §6",
    rows=both("other-direction", "While messages {} are held back, those of the other direction arrive"),
    seconds=60,
)
async def other_direction(lab: Lab, direction: str) -> None:
    client = await lab.dial(receive_buffer=SMALL_BUFFER)
    sender, receiver = ends(await lab.join(client=client), direction)
    stop_reading(receiver)
    await send_until_stalled(sender, 8 * MEBIBYTE, 0.3)
    for number in range(10):
        receiver.send(TEXT, str(number))
        await sender.expect_message(TEXT, str(number))
