"""The bodies of HTTP in the toy gateway (RFC 9112 §6, §7.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from memmie_harness.conformance.peers import Head

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

PART = 64 * 1024


def chunk(data: bytes) -> bytes:
    """Build a chunk; an empty one is the last."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def parts(reader: asyncio.StreamReader, head: Head) -> AsyncIterator[bytes]:
    """Yield the parts of the body behind a head, as they come.

    Raises:
        EOFError: the connection ends before the body.
    """
    if "chunked" in head.get("transfer-encoding"):
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield (await reader.readexactly(size + 2))[:-2]
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return
    length = head.get("content-length").partition(",")[0]
    if not length and not head.first_line.startswith("HTTP/"):
        return
    left = int(length) if length else None
    while left != 0:
        data = await reader.read(PART if left is None else min(left, PART))
        if not data:
            if left:
                raise EOFError
            return
        left = left - len(data) if left is not None else None
        yield data
