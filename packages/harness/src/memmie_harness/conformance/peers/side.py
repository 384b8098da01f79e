"""A peer in a conformance test: it keeps a transcript, and what does not come is a violation."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from memmie_harness.conformance.model import Ended, Silence, Violation
from memmie_harness.conformance.peers.body import Body
from memmie_harness.conformance.peers.frames import (
    BINARY,
    CLOSE,
    CONT,
    NAMES,
    PING,
    PONG,
    TEXT,
    Frame,
)
from memmie_harness.conformance.peers.heads import Head, parse_head
from memmie_harness.conformance.peers.peer import Peer
from memmie_harness.conformance.transcript import Transcript, escape

T = TypeVar("T")


def describe(frame: Frame) -> str:
    """Return a frame in words, such as `TEXT "hello"` or `CLOSE 1001 "bye"`."""
    name = NAMES.get(frame.opcode, f"opcode {frame.opcode:#x}")
    flags = ("" if frame.fin else " without FIN") + (
        f" with reserved bits {frame.reserved:#x}" if frame.reserved else ""
    )
    if frame.opcode == CLOSE and len(frame.payload) > 1:
        code = int.from_bytes(frame.payload[:2], "big")
        return f'{name}{flags} {code} "{escape(frame.payload[2:])}"'
    return f'{name}{flags} "{escape(frame.payload)}"'


class TextInstead(Violation):
    """Text of HTTP came where a frame belongs."""


class Side(Peer):
    """One end of a connection through the gateway, in the place of a client or of a Studio."""

    name = "side"
    """Its name in the transcript."""

    reserved_bits = 0
    """The reserved bits that negotiated extensions may set (RFC 6455 §5.2)."""

    answers_pings = True
    """Whether `message` and `expect_close` answer the gateway's pings, as every endpoint does (RFC 6455 §5.5.2)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.transcript = Transcript()
        self._reads = ""
        """What is read in several steps, for the words of a violation."""

    # What the transcript needs.

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.transcript.add(self.name, "sent", data)
        super().write(data)

    async def read(self, size: int) -> bytes:
        """Read so many bytes."""
        return await self._reading(self._reads or f"{size} more bytes", self.reader.readexactly(size))

    async def read_until(self, mark: bytes) -> bytes:
        """Read up to these bytes, and include them."""
        what = self._reads or f"bytes that end with {escape(mark)}"
        return await self._reading(what, self.reader.readuntil(mark))

    @contextlib.contextmanager
    def _as(self, what: str) -> Iterator[None]:
        """Name what is read in several steps."""
        before, self._reads = self._reads, what
        try:
            yield
        finally:
            self._reads = before

    async def read_frame(self) -> Frame:
        """Read a frame; see `Peer.read_frame`."""
        with self._as(self._reads or "a frame"):
            return await super().read_frame()

    async def check_start(self, raw: bytes) -> None:
        """Raise a `Violation` if HTTP begins where a frame belongs; `HT` is not the beginning of any valid frame."""
        if raw == b"HT":
            text = raw + await self.leftover()
            raise TextInstead(
                f"{self.name} gets {self._reads}", f'an HTTP answer within the WebSocket: "{escape(text)}"'
            )

    async def read_rest(self) -> bytes:
        """Read until the other end has sent its last byte, or has reset the connection."""
        data = b""
        while chunk := await self._reading("the end of the connection", self._read_or_end()):
            data += chunk
        return data

    async def next_bytes(self) -> bytes:
        """Return what arrives next; nothing if the other end has closed or reset the connection."""
        return await self._reading("bytes, or the end of the connection", self._read_or_end())

    async def _read_or_end(self) -> bytes:
        """Return what arrives next; nothing at the end, which may be a reset."""
        try:
            return await self.reader.read(1 << 16)
        except ConnectionError:
            self.transcript.note(f"{self.name} saw its connection reset")
            return b""

    async def _reading(self, what: str, reading: Awaitable[bytes]) -> bytes:
        try:
            async with asyncio.timeout(self.patience):
                data = await reading
        except TimeoutError:
            raise Silence(
                f"{self.name} gets {what}", f"nothing within {self.patience:g} s; {self._pending()}"
            ) from None
        except asyncio.IncompleteReadError as error:
            self.transcript.add(self.name, "got", error.partial)
            self.transcript.note(f"{self.name} saw the end of its connection")
            raise Ended(
                f"{self.name} gets {what}", f'the connection ended after "{escape(error.partial)}"'
            ) from None
        except asyncio.LimitOverrunError:
            raise Violation(f"{self.name} gets {what}", "more bytes than the kit reads") from None
        except ConnectionError:
            self.transcript.note(f"{self.name} saw its connection reset")
            raise Ended(f"{self.name} gets {what}", "the connection was reset") from None
        self.transcript.add(self.name, "got", data)
        return data

    def _pending(self) -> str:
        """Return what has arrived but is not complete, which the reader keeps in its buffer."""
        buffered = bytes(getattr(self.reader, "_buffer", b""))
        return f'arrived is "{escape(buffered)}"' if buffered else "no byte arrived"

    def check_mask(self, *, is_masked: bool) -> None:
        """Raise a `Violation` if a frame's mask bit is not that of the other role."""
        if is_masked is not (self.mask is None):
            raise Violation(
                f"{self.name} gets {'masked' if self.mask is None else 'unmasked'} frames",
                f"{'a masked' if is_masked else 'an unmasked'} frame",
            )

    def finish(self) -> None:
        """Send FIN; reading goes on."""
        self.transcript.note(f"{self.name} sent FIN")
        super().finish()

    def leave(self) -> None:
        """Close the TCP connection without a Close frame."""
        self.transcript.note(f"{self.name} closed its TCP connection")
        super().leave()

    def reset(self) -> None:
        """End the TCP connection with RST."""
        self.transcript.note(f"{self.name} sent RST")
        super().reset()

    # HTTP.

    async def answer(self) -> Head:
        """Read an answer: its head, and its body by the rules of RFC 9112 §6.3."""
        head = await self.answer_head()
        body = await Body(self, head).rest() if head.has_body else b""
        self.head = replace(head, body=body)
        return self.head

    async def answer_head(self) -> Head:
        """Read the head of an answer."""
        with self._as("an HTTP answer"):
            data = await self.read_until(b"\r\n\r\n")
        head = parse_head(data)
        # RFC 9110 §2.5 leaves it to a server to refuse in HTTP/1.0, which has no 101.
        version = r"HTTP/1\.1 101\b|HTTP/1\.[01] (?!101)[0-9]{3}\b"
        if re.match(version, head.first_line) is None:
            raise Violation("an answer in HTTP/1.1", escape(data))
        self.head = head
        return head

    # Frames.

    async def message(self) -> tuple[int, bytes]:
        """Read a message, whole or in fragments; pings are answered, and pongs are skipped."""
        opcode, parts = CONT, list[bytes]()
        while True:
            frame = await self._data_frame()
            is_first = frame.opcode in {TEXT, BINARY} and opcode == CONT
            if (not is_first and not (frame.opcode == CONT and opcode != CONT)) or (
                frame.reserved & ~self.reserved_bits
            ):
                raise Violation(f"{self.name} gets a message", describe(frame))
            if is_first:
                opcode = frame.opcode
            parts.append(frame.payload)
            if frame.fin:
                return opcode, b"".join(parts)

    async def _data_frame(self) -> Frame:
        """Read up to a frame that is neither a ping, which is answered, nor a pong."""
        while (frame := await self.read_frame()).opcode in {PING, PONG}:
            if frame.opcode == PING and self.answers_pings:
                self.send(PONG, frame.payload)
        return frame

    async def expect_message(self, opcode: int, payload: bytes | str) -> None:
        """Read a message, and check that it is this one."""
        data = payload.encode() if isinstance(payload, str) else payload
        seen = await self.message()
        if seen != (opcode, data):
            raise Violation(
                f'{self.name} gets the message {NAMES[opcode]} "{escape(data)}" of {len(data)} bytes',
                f'{NAMES[seen[0]]} "{escape(seen[1])}" of {len(seen[1])} bytes',
            )

    async def expect_frame(self, opcode: int, payload: bytes | str = b"", *, fin: bool = True) -> Frame:
        """Read a frame, and check that it is this one."""
        data = payload.encode() if isinstance(payload, str) else payload
        frame = await self.read_frame()
        if (frame.opcode, frame.payload, frame.fin, frame.reserved) != (opcode, data, fin, 0):
            wanted = describe(Frame(opcode, data, fin))
            raise Violation(f"{self.name} gets the frame {wanted}", describe(frame))
        return frame

    async def closing_frame(self) -> Frame:
        """Read up to a Close frame, which may come behind pings and pongs, and return it."""
        with self._as("a Close frame"):
            frame = await self._data_frame()
        if frame.opcode != CLOSE:
            raise Violation(f"{self.name} gets a Close frame", describe(frame))
        return frame

    async def expect_close(
        self, *codes: int, reason: str | None = None, check: Callable[[int], bool] | None = None
    ) -> int:
        """Read a Close frame, and check its code (1005 stands for none) and its reason.

        Args:
            *codes: the codes that are allowed; none allows every code.
            reason: the reason, if it matters.
            check: returns whether a code is allowed, instead of `codes`.

        Returns:
            the code.
        """
        frame = await self.closing_frame()
        code = int.from_bytes(frame.payload[:2], "big") if len(frame.payload) > 1 else 1005
        allowed = check(code) if check is not None else not codes or code in codes
        if not allowed or (reason is not None and frame.payload[2:] != reason.encode()):
            wanted = " or ".join(map(str, codes)) or "an allowed code"
            raise Violation(
                f"{self.name} gets a Close frame with {wanted}"
                + ("" if reason is None else f' and the reason "{reason}"'),
                describe(frame),
            )
        return code

    async def expect_end(self) -> bytes:
        """Wait until the other end has closed or reset the TCP connection, and return what came before it."""
        return await self.read_rest()

    async def expect_close_or_end(self) -> None:
        """Check that the connection ends: by a Close frame, which is answered, or by the end of TCP.

        What comes before it is skipped.
        """
        try:
            while (await self.read_frame()).opcode != CLOSE:
                pass
        except TextInstead:
            await self.expect_end()
            return
        except Ended:
            return
        self.send_close(1000)
        if self.mask is not None:
            await self.expect_end()
        self.leave()

    async def leftover(self, seconds: float = 0.25) -> bytes:
        """Return what comes until the end of the connection, or in this time if it does not end."""
        data = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(seconds):
                while chunk := await self.reader.read(1 << 16):
                    data += chunk
        self.transcript.add(self.name, "got", data)
        return data

    async def expect_silence(self, seconds: float = 0.25) -> None:
        """Check that no byte comes for some time; a gateway that sends one later is not found."""
        try:
            async with asyncio.timeout(seconds):
                data = await self.reader.read(1 << 12)
        except TimeoutError:
            return
        except ConnectionError:
            raise Violation(f"{self.name} stays connected", "the connection was reset") from None
        self.transcript.add(self.name, "got", data)
        raise Violation(
            f"{self.name} gets nothing", f'"{escape(data)}"' if data else "the end of the connection"
        )
