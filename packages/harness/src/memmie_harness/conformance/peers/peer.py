"""One end of a WebSocket, byte by byte: it can send what a library would not send, and sees every byte that arrives."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from typing import Final, Self

from memmie_harness.conformance.peers.certificate import HOST
from memmie_harness.conformance.peers.frames import CLOSE, MASK, Frame, build, close_body, masked
from memmie_harness.conformance.peers.heads import Head, parse_head

PATIENCE: Final = 10.0
"""Seconds for something that should come at once; no test waits until they have passed."""


class Peer:
    """One end of a TCP connection.

    Args:
        reader: what arrives.
        writer: where to send.
        mask: the key that masks the frames of a client; None for a server.
    """

    patience = PATIENCE
    """Seconds that each read may take."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, mask: bytes | None
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.mask = mask
        self.head = Head("", ())
        """The request that a server has read, or the answer that a client has read."""

    @classmethod
    async def connect(
        cls,
        port: int,
        *,
        limit: int = 1 << 16,
        receive_buffer: int = 0,
        source: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> Self:
        """Connect as a client to a port of 127.0.0.1.

        Args:
            port: the port.
            limit: how many bytes are read ahead.
            receive_buffer: the size of the kernel's buffer in bytes; 0 lets the kernel choose.
            source: the address of the client, such as 127.0.0.2; empty lets the kernel choose.
            tls: the context of a client that uses TLS.
        """
        sock = socket.socket()
        if source:
            sock.bind((source, 0))
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            name = None if tls is None else HOST
            streams = await asyncio.open_connection(sock=sock, limit=limit, ssl=tls, server_hostname=name)
        except BaseException:
            sock.close()
            raise
        return cls(*streams, mask=MASK)

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
        async with asyncio.timeout(self.patience):
            return await self.reader.readexactly(size)

    async def read_until(self, mark: bytes) -> bytes:
        """Read up to these bytes, and include them."""
        async with asyncio.timeout(self.patience):
            return await self.reader.readuntil(mark)

    async def read_head(self) -> Head:
        """Read the head of a request, or an answer with its body."""
        data = await self.read_until(b"\r\n\r\n")
        size = int(parse_head(data).get("content-length") or "0")
        self.head = parse_head(data, await self.read(size))
        return self.head

    async def read_frame(self) -> Frame:
        """Read a frame; its mask bit must be that of the other role (RFC 6455 §5.1)."""
        raw = await self.read(2)
        await self.check_start(raw)
        first, size = raw[0], raw[1] & 0x7F
        if size > 125:
            more = await self.read(2 if size == 126 else 8)
            raw, size = raw + more, int.from_bytes(more, "big")
        is_masked = bool(raw[1] & 0x80)
        self.check_mask(is_masked=is_masked)
        key = await self.read(4) if is_masked else b""
        data = await self.read(size)
        payload = masked(data, key) if is_masked else data
        return Frame(first & 0x0F, payload, bool(first & 0x80), first & 0x70, is_masked, raw + key + data)

    async def check_start(self, raw: bytes) -> None:
        """Look at the first two bytes of a frame; here, nothing is wrong with any."""

    def check_mask(self, *, is_masked: bool) -> None:
        """Raise an AssertionError if a frame's mask bit is not that of the other role."""
        assert is_masked is (self.mask is None), "only a client masks its frames"

    async def read_message(self) -> tuple[int, bytes]:
        """Read a frame that is a whole message, and return its opcode and payload."""
        frame = await self.read_frame()
        assert frame.fin
        return frame.opcode, frame.payload

    async def read_close(self) -> tuple[int, str]:
        """Read a Close frame, and nothing before it; return the code (1005 for none) and the reason."""
        frame = await self.read_frame()
        assert frame.opcode == CLOSE, frame
        if not frame.payload:
            return 1005, ""
        return int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode()

    async def read_rest(self) -> bytes:
        """Read until the other end has sent its last byte."""
        async with asyncio.timeout(self.patience):
            return await self.reader.read(-1)

    # The end.

    def finish(self) -> None:
        """Send FIN; reading goes on."""
        self.writer.write_eof()

    def leave(self) -> None:
        """Close the TCP connection without a Close frame."""
        self.writer.close()

    def reset(self) -> None:
        """End the TCP connection with RST (SO_LINGER 0, `man 7 socket`)."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
