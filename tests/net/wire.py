"""One end of a WebSocket, byte by byte: what a well-behaved library would not send, and exactly what arrives."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

PATIENCE: Final = 10.0
"""Seconds that anything may take which should come at once. No test waits for it to pass."""

KEY: Final = base64.b64encode(b"a client's nonce").decode()
MASK: Final = b"\x37\xfa\x21\x3d"
"""RFC 6455 §5.7 uses it in its examples."""

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it was read; `raw` are its bytes on the wire."""

    opcode: int
    payload: bytes
    fin: bool = True
    reserved: int = 0
    masked: bool = False
    raw: bytes = field(default=b"", repr=False)


def build(
    opcode: int, payload: bytes = b"", *, mask: bytes | None = None, fin: bool = True, reserved: int = 0
) -> bytes:
    """Build a frame, also one that must not be (RFC 6455 §5.2)."""
    first = (0x80 if fin else 0) | reserved | opcode
    mask_bit = 0x80 if mask is not None else 0
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, mask_bit | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, mask_bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask_bit | 127, size)
    return head + payload if mask is None else head + mask + masked(payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    """Mask, or unmask (RFC 6455 §5.3)."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def close_body(code: int, reason: str = "") -> bytes:
    """Build the payload of a Close frame, whatever the code."""
    return struct.pack("!H", code) + reason.encode()


def accept_for(key: str) -> str:
    """Answer a Sec-WebSocket-Key (RFC 6455 §4.2.2)."""
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False)
    return base64.b64encode(digest.digest()).decode()


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request or an answer, and the body of an answer that has one."""

    first_line: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    names: tuple[str, ...] = ()
    """The names of the fields in the case in which they came."""

    @property
    def status(self) -> int:
        return int(self.first_line.split(" ")[1])

    @property
    def target(self) -> str:
        return self.first_line.split(" ")[1]

    def get(self, name: str) -> str:
        """Return the values of a field (lower case), joined; "" where there is none."""
        return ", ".join(value for key, value in self.fields if key == name)


def upgrade_request(
    token: str | None = None, *, target: str = "/ws", without: Sequence[str] = (), extra: Iterable[str] = ()
) -> bytes:
    """Build a client's handshake; `without` names fields to leave out, `extra` are lines to add."""
    lines = [
        "Host: gateway.test",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *([] if token is None else [f"Authorization: Bearer {token}"]),
    ]
    kept = [line for line in lines if line.partition(":")[0].lower() not in without]
    return "\r\n".join([f"GET {target} HTTP/1.1", *kept, *extra, "", ""]).encode("latin-1")


class Peer:
    """One end of a TCP connection. `mask` is what it masks its frames with: None in Studio's place."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, mask: bytes | None
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.mask = mask
        self.head = Head("", ())
        """Of the request (in Studio's place) or the answer (in the client's)."""

    @classmethod
    async def connect(cls, port: int, *, limit: int = 1 << 16, receive_buffer: int = 0) -> Peer:
        """Connect as a client; `limit` bytes are read ahead, `receive_buffer` is the kernel's (0: its own choice)."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(*await asyncio.open_connection(sock=sock, limit=limit), mask=MASK)

    # Writing.

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    def frame(self, opcode: int, payload: bytes | str = b"", *, fin: bool = True, reserved: int = 0) -> bytes:
        """Build a frame as this end sends it."""
        data = payload.encode() if isinstance(payload, str) else payload
        return build(opcode, data, mask=self.mask, fin=fin, reserved=reserved)

    def send(self, opcode: int, payload: bytes | str = b"", *, fin: bool = True, reserved: int = 0) -> None:
        """Send a frame."""
        self.write(self.frame(opcode, payload, fin=fin, reserved=reserved))

    def send_close(self, code: int, reason: str = "") -> None:
        """Send a Close frame."""
        self.send(CLOSE, close_body(code, reason))

    # Reading.

    async def read(self, size: int) -> bytes:
        """Read so many bytes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(size)

    async def read_head(self) -> Head:
        """Read the head of a request, or an answer with its body."""
        async with asyncio.timeout(PATIENCE):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first_line, *lines = text[:-4].split("\r\n")
            fields = tuple((name.lower(), value) for name, _, value in (x.partition(": ") for x in lines))
            size = int(dict(fields).get("content-length", "0"))
            names = tuple(line.partition(":")[0] for line in lines)
            self.head = Head(first_line, fields, await self.reader.readexactly(size), names)
        return self.head

    async def read_frame(self) -> Frame:
        """Read a frame; its mask bit must be that of the other role (RFC 6455 §5.1)."""
        raw = await self.read(2)
        first, size = raw[0], raw[1] & 0x7F
        if size > 125:
            more = await self.read(2 if size == 126 else 8)
            raw, size = raw + more, int.from_bytes(more, "big")
        is_masked = bool(raw[1] & 0x80)
        assert is_masked is (self.mask is None), "only a client masks its frames"
        key = await self.read(4) if is_masked else b""
        data = await self.read(size)
        payload = masked(data, key) if is_masked else data
        return Frame(first & 0x0F, payload, bool(first & 0x80), first & 0x70, is_masked, raw + key + data)

    async def read_message(self) -> tuple[int, bytes]:
        """Read a frame that is a whole message, and return its opcode and payload."""
        frame = await self.read_frame()
        assert frame.fin
        return frame.opcode, frame.payload

    async def read_close(self) -> tuple[int, str]:
        """Read a Close frame, and nothing before it; return code (1005 for none) and reason."""
        frame = await self.read_frame()
        assert frame.opcode == CLOSE, frame
        if not frame.payload:
            return 1005, ""
        return int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode()

    async def read_rest(self) -> bytes:
        """Read until the other end has sent its last byte."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read(-1)

    # The end.

    def finish(self) -> None:
        """Send FIN, and go on reading."""
        self.writer.write_eof()

    def leave(self) -> None:
        """Close the TCP connection without a Close frame."""
        self.writer.close()

    def reset(self) -> None:
        """End the TCP connection with RST (SO_LINGER 0, `man 7 socket`)."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def in_chunks(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut bytes at these offsets."""
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(at)]
