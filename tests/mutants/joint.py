"""The two sides of a connection through the toy gateway, frame by frame."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import NamedTuple

from memmie_harness.conformance.peers import (
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
    masked,
)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CLIENT, STUDIO = 0, 1
"""The sides, as indexes."""

MAX_MESSAGE = 1 << 20
CLOSE_SECONDS = 2.0

OWN_PING = b"are you there?"
"""The payload of the gateway's own pings; no test sends it."""


class Times(NamedTuple):
    """When a silent side is pinged, how long it may take to answer, and when an idle connection ends; 0 for never."""

    ping: float = 0.0
    pong: float = 0.0
    idle: float = 0.0


class ViolationError(Exception):
    """A side broke the protocol; `code` is what it is told."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def may_be_sent(code: int) -> bool:
    """Tell whether an endpoint may send this code (RFC 6455 §7.4)."""
    return code in {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


async def read_frame(reader: asyncio.StreamReader, *, from_client: bool, room: int) -> Frame:
    """Read a frame with a payload of at most `room` bytes."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size > 125:
        length = await reader.readexactly(2 if size == 126 else 8)
        size = int.from_bytes(length, "big")
        if size < (126 if len(length) == 2 else 1 << 16) or size >> 63:
            raise ViolationError(1002)
    is_masked = bool(second & 0x80)
    if is_masked is not from_client or (first & 0x08 and size > 125):
        raise ViolationError(1002)
    if size > room:
        raise ViolationError(1009)
    key = await reader.readexactly(4) if is_masked else bytes(4)
    payload = masked(await reader.readexactly(size), key)
    return Frame(first & 0x0F, payload, bool(first & 0x80), first & 0x70, is_masked)


class Joint:
    """Forwards frames between a client and a Studio.

    Args:
        client: the client's streams.
        studio: the Studio's.
        count: called with each message.
        extensions: extensions are in effect, so the reserved bits may be set.
        times: when a silent side is pinged.
    """

    max_message = MAX_MESSAGE
    """The largest message in bytes, over all fragments."""

    def __init__(
        self,
        client: Streams,
        studio: Streams,
        count: Callable[[], None],
        *,
        extensions: bool = False,
        times: Times | None = None,
    ) -> None:
        self.readers = [client[0], studio[0]]
        self.writers = [client[1], studio[1]]
        self.count = count
        self.extensions = extensions
        self.times = times or Times()
        self.message = [0, 0]
        """The opcode of the message that a side has begun, or 0."""
        self.size = [0, 0]
        """How many bytes of this message have come."""
        self.told: list[bytes | None] = [None, None]
        """The payload of the Close frame that a side is to get instead of the other side's."""
        self.closed = [False, False]
        """Whether a side was sent a Close frame."""
        self.finished = [asyncio.Event(), asyncio.Event()]
        """Whether a side has sent its Close frame, or is gone."""
        self.answered = [asyncio.Event(), asyncio.Event()]
        """Whether a side has answered the ping."""
        self.studio_lost = False
        self._last_message = time.monotonic()

    async def run(self) -> None:
        """Forward until both sides have closed."""
        watching = [asyncio.create_task(watch) for watch in self.watches()]
        try:
            async with asyncio.TaskGroup() as group:
                for side in (CLIENT, STUDIO):
                    group.create_task(self.pump(side))
        finally:
            for watch in watching:
                watch.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        for writer in self.writers:
            writer.close()

    async def pump(self, side: int) -> None:
        """Forward what a side sends."""
        other = 1 - side
        try:
            while True:
                frame = await self.read_frame(side)
                self.check(side, frame)
                if frame.opcode == CLOSE:
                    self.close(other, self.closing(side, frame.payload))
                    return
                await self.forward(side, frame)
        except ViolationError as violation:
            await self.violated(side, violation.code)
        except (OSError, EOFError):
            await self.lost(side)
        finally:
            self.finished[side].set()
            await self.wait_for(other)

    # Time.

    def watches(self) -> list[Coroutine[object, object, None]]:
        """Return what runs beside the two directions."""
        watches = [self.keep_alive(side) for side in (CLIENT, STUDIO)] if self.times.ping else []
        return [*watches, self.end_if_idle()] if self.times.idle else watches

    async def keep_alive(self, side: int) -> None:
        """Ping a side again and again, and cut its connection if it does not answer."""
        while not self.closed[side]:
            await asyncio.sleep(self.times.ping)
            self.answered[side].clear()
            self.write(side, Frame(PING, OWN_PING))
            try:
                async with asyncio.timeout(self.times.pong):
                    await self.answered[side].wait()
            except TimeoutError:
                self.dead(side)
                return

    def dead(self, side: int) -> None:
        """Cut the connection of a side that has not answered a ping."""
        self.writers[side].transport.abort()

    async def end_if_idle(self) -> None:
        """End the connection if no message comes for too long."""
        while (left := self._last_message + self.times.idle - time.monotonic()) > 0:  # noqa: ASYNC110 - it is time
            await asyncio.sleep(left)
        self.end(1001)

    async def wait_for(self, other: int) -> None:
        """Give the other side time for its own Close frame; then its connection is cut."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.finished[other].wait()
        if not self.finished[other].is_set():
            self.writers[other].transport.abort()

    # Reading.

    async def read_frame(self, side: int) -> Frame:
        """Read a frame."""
        room = self.max_message - self.size[side]
        return await read_frame(self.readers[side], from_client=side == CLIENT, room=room)

    def check(self, side: int, frame: Frame) -> None:
        """Raise `ViolationError` if a frame breaks the protocol (RFC 6455 §5)."""
        opcode = frame.opcode
        if opcode not in {CONT, TEXT, BINARY, CLOSE, PING, PONG}:
            raise ViolationError(1002)
        if frame.reserved and not (self.extensions and opcode in {TEXT, BINARY}):
            raise ViolationError(1002)
        if opcode >= CLOSE:
            if not frame.fin:
                raise ViolationError(1002)
            if opcode == CLOSE:
                self.check_close(frame.payload)
            return
        if (opcode == CONT) is not bool(self.message[side]):
            raise ViolationError(1002)
        self.size[side] = 0 if frame.fin else self.size[side] + len(frame.payload)
        self.message[side] = 0 if frame.fin else opcode or self.message[side]

    def check_close(self, payload: bytes) -> None:
        """Raise `ViolationError` if the payload of a Close frame is invalid (RFC 6455 §5.5.1)."""
        if not payload:
            return
        if len(payload) == 1 or not may_be_sent(int.from_bytes(payload[:2], "big")):
            raise ViolationError(1002)
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            raise ViolationError(1007) from None

    # Writing.

    def build(self, to: int, frame: Frame) -> bytes:
        """Return a frame as bytes for a side."""
        mask = MASK if to == STUDIO else None
        return build(frame.opcode, frame.payload, mask=mask, fin=frame.fin, reserved=frame.reserved)

    async def forward(self, side: int, frame: Frame) -> None:
        """Send the other side a frame that is not a Close frame."""
        if frame.opcode == PONG and frame.payload == OWN_PING:
            self.answered[side].set()
            return
        if frame.opcode < CLOSE:
            self._last_message = time.monotonic()
        if self.closed[1 - side]:
            return
        self.write(1 - side, frame)
        if frame.opcode < CLOSE and frame.fin:
            self.count()
        await self.writers[1 - side].drain()

    def write(self, to: int, frame: Frame) -> None:
        """Send a side a frame."""
        self.writers[to].write(self.build(to, frame))

    def close(self, to: int, payload: bytes) -> None:
        """Send a side a Close frame, once."""
        if self.told[to] is not None:
            payload = self.told[to] or b""
        if not self.closed[to]:
            self.closed[to] = True
            self.write(to, Frame(CLOSE, payload))

    # Ends.

    def closing(self, side: int, payload: bytes) -> bytes:
        """Return the payload of the Close frame that passes a side's Close frame on."""
        del side
        return payload

    def end(self, code: int) -> None:
        """End the connection: tell the client this code, and the Studio 1001."""
        self.close(STUDIO, close_body(1001))
        self.close(CLIENT, close_body(code))

    async def violated(self, side: int, code: int) -> None:
        """End the connection because a side broke the protocol: it is told last, so that it gets the other's answers."""
        self.told[side] = close_body(code)
        self.close(1 - side, close_body(1001 if side == CLIENT else 1002))
        await self.wait_for(1 - side)
        self.close(side, close_body(code))

    async def lost(self, side: int) -> None:
        """End the connection because a side's TCP connection is lost."""
        self.studio_lost |= side == STUDIO and not self.closed[STUDIO]
        self.close(1 - side, self.loss(side))

    def loss(self, side: int) -> bytes:
        """Return the payload of the Close frame after a side was lost."""
        return close_body(1001 if side == CLIENT else 1012)
