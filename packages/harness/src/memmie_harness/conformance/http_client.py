"""HTTP beside WebSocket: requests of a client, and answers of a backend, byte by byte."""

from __future__ import annotations

from memmie_harness.conformance.checks import equal
from memmie_harness.conformance.lab import MARKER_FIELD, Lab
from memmie_harness.conformance.model import Ended, Violation
from memmie_harness.conformance.peers import Head
from memmie_harness.conformance.peers.body import Body, InvalidChunk
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.transcript import escape


def target(lab: Lab, path: str) -> str:
    """Return a target that the gateway forwards to the backend."""
    return lab.setup.text("http_path").rstrip("/") + path


def request(
    lab: Lab,
    path: str = "/thing",
    *lines: str,
    method: str = "GET",
    token: str | None = None,
    body: bytes = b"",
    connection: str = "close",
    whole: str = "",
) -> bytes:
    """Build a request.

    Args:
        lab: the test.
        path: the path and the query behind the path that the gateway forwards.
        *lines: header lines to add.
        method: the method.
        token: the token to send, by default a valid one; empty sends none.
        body: its body, which comes with a length if it is not empty.
        connection: the value of the field `Connection`.
        whole: the target, instead of `path`.
    """
    token = lab.token if token is None else token
    head = [
        f"{method} {whole or target(lab, path)} HTTP/1.1",
        "Host: gateway.test",
        *([f"Authorization: Bearer {token}"] if token else []),
        f"{MARKER_FIELD}: {lab.marker}",
        f"Connection: {connection}",
        *([f"Content-Length: {len(body)}"] if body else []),
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def answer(studio: Side, status: int, body: bytes = b"", *lines: str) -> None:
    """Answer a request with a status, a body and more header lines; the connection is for one request."""
    begin_answer(studio, *lines, f"Content-Length: {len(body)}", status=status)
    studio.write(body)


def begin_answer(studio: Side, *lines: str, status: int = 200) -> None:
    """Send the head of an answer."""
    head = [f"HTTP/1.1 {status} Some Words", "Connection: close", *lines]
    studio.write("\r\n".join([*head, "", ""]).encode("latin-1"))


async def exchange(
    lab: Lab, raw: bytes, status: int = 200, body: bytes = b"", *lines: str
) -> tuple[Head, Head]:
    """Send a request, and let the backend answer it; return the request at the backend and the answer at the client."""
    client, studio = await lab.knock(raw)
    answer(studio, status, body, *lines)
    seen = await client.answer()
    equal("the status", seen.status, status)
    return studio.head, seen


def chunk(data: bytes) -> bytes:
    """Build a chunk of a body; an empty one is the last (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def expect_cut(side: Side, body: Body) -> None:
    """Check that the body which a side reads does not look complete.

    The connection ends first, or what follows is not a chunk: a proxy may write its own answer behind a half body.
    This is wrong too, but the reader sees that the body is broken, and no more is asked here (RFC 9112 §8).
    """
    try:
        rest = await body.rest()
    except (Ended, InvalidChunk):
        return
    raise Violation(
        f"{side.name} sees that a body is not complete", f'a body that ends with "{escape(rest)}"'
    )
