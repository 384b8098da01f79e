"""The body of a request or an answer, read in parts as it comes (RFC 9112 §6)."""

from __future__ import annotations

import re
from typing import Protocol

from memmie_harness.conformance.model import Violation
from memmie_harness.conformance.peers.heads import Head
from memmie_harness.conformance.transcript import escape


class Reader(Protocol):
    """Reads bytes; what does not come is a `Violation`."""

    async def read(self, size: int) -> bytes:
        """Read so many bytes."""
        ...

    async def read_until(self, mark: bytes) -> bytes:
        """Read up to these bytes, and include them."""
        ...

    async def read_rest(self) -> bytes:
        """Read up to the end of the connection."""
        ...


class InvalidChunk(Violation):
    """Bytes that do not begin a chunk came where a chunk must begin, so the body looks broken to every reader."""


class Body:
    """A body, which is framed as its head says.

    Args:
        reader: reads what comes behind the head.
        head: the head. An answer without a length ends with the connection; a request without one has no body.
    """

    def __init__(self, reader: Reader, head: Head) -> None:
        self._reader = reader
        self._head = head
        self._kept = b""
        length = head.get("content-length")
        self._left = int(length) if length.isdecimal() else None
        self.chunked = "chunked" in head.get("transfer-encoding").lower()
        """Whether it comes in chunks."""
        self.trailers = b""
        """The lines behind the last chunk, once it has come."""

    async def part(self, size: int) -> bytes:
        """Read so many bytes, as soon as they have come."""
        if not self.chunked:
            self._left = self._left - size if self._left is not None else None
            return await self._reader.read(size)
        while len(self._kept) < size:
            if not (data := await self._chunk()):
                raise Violation(f"{size} bytes of a body", f'its end after "{escape(self._kept)}"')
            self._kept += data
        data, self._kept = self._kept[:size], self._kept[size:]
        return data

    async def rest(self) -> bytes:
        """Read up to the end of the body."""
        if not self.chunked:
            if self._left is not None:
                return await self._reader.read(self._left)
            return await self._reader.read_rest() if self._head.first_line.startswith("HTTP/") else b""
        data, self._kept = self._kept, b""
        while chunk := await self._chunk():
            data += chunk
        return data

    async def _chunk(self) -> bytes:
        """Return the next chunk; b"" is the last one, behind which the trailers are read."""
        if size := _chunk_size(await self._reader.read_until(b"\r\n")):
            return (await self._reader.read(size + 2))[:-2]
        while (line := await self._reader.read_until(b"\r\n")) != b"\r\n":
            self.trailers += line
        return b""


def _chunk_size(line: bytes) -> int:
    """Return the size in the first line of a chunk (RFC 9112 §7.1).

    Raises:
        InvalidChunk: the line has none.
    """
    digits = re.match(rb"[0-9A-Fa-f]{1,16}(?=[ \t]*[;\r])", line)
    if digits is None:
        raise InvalidChunk("the size of a chunk", escape(line))
    return int(digits[0], 16)
