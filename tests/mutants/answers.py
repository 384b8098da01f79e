"""What the toy gateway answers instead of a 101, and what its parts share."""

from __future__ import annotations

import asyncio
import contextlib

from memmie_harness.conformance.peers import Head

READ_AHEAD = 1 << 17


class RefusedError(Exception):
    """A client is refused.

    Args:
        status: the HTTP status.
        *lines: header lines.
        code: the close code if the client has its 101 already; 0 takes the one that belongs to the status.
    """

    def __init__(self, status: int, *lines: str, code: int = 0) -> None:
        super().__init__(status)
        self.status = status
        self.lines = lines
        self.code = code or {500: 1011, 502: 1011, 503: 1013}.get(status, 4000 + status)


class BackendRefusedError(RefusedError):
    """The backend refuses a client with a 4xx; `data` is its answer in the form for the client."""

    def __init__(self, status: int, data: bytes) -> None:
        super().__init__(status)
        self.data = data


class PlainAnswer(Exception):  # noqa: N818 - not an error
    """A request is answered, and this is all."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and wait until it is."""
    writer.close()
    with contextlib.suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()


def plain(status: int, body: bytes, *lines: str) -> bytes:
    """Build an answer."""
    head = [f"HTTP/1.1 {status} Words", *lines, "Connection: close", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body


def tokens(value: str) -> list[str]:
    """Return the items of a list in a field, in lower case."""
    return [part.strip().lower() for part in value.split(",")]


def without(head: Head, *names: str) -> Head:
    """Return a head without some fields (lower case)."""
    kept = [
        (field, name) for field, name in zip(head.fields, head.names, strict=True) if field[0] not in names
    ]
    return Head(
        head.first_line, tuple(field for field, _ in kept), head.body, tuple(name for _, name in kept)
    )
