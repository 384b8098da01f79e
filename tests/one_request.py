"""One HTTP request on a connection of its own, as the gateway closes each after its answer; for clients that are judged."""

from __future__ import annotations

import asyncio

from memmie_harness.conformance.peers import Head, parse_head

Address = tuple[str, int]


async def ask(host: str, port: int, request: bytes, local_addr: Address | None = None) -> Head:
    """Send a request, and return the answer with its body.

    Args:
        host: the host of the server.
        port: its port.
        request: head and body.
        local_addr: the address and the port of the client.

    Raises:
        OSError: there is no connection, no answer, or only a part of one.
    """
    reader, writer = await asyncio.open_connection(host, port, local_addr=local_addr)
    try:
        writer.write(request)
        raw = await reader.read()
    finally:
        writer.transport.abort()
    head, _, body = raw.partition(b"\r\n\r\n")
    if not head:
        raise ConnectionResetError("the connection ended without an answer")
    answer = parse_head(head + b"\r\n\r\n", body)
    if len(body) != int(answer.get("content-length") or 0):
        raise ConnectionResetError("the answer is cut")
    return answer
