"""HTTP beside WebSocket: bodies are streamed both ways, and an exchange that breaks looks broken."""

from __future__ import annotations

import asyncio

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, MUST, row
from memmie_harness.conformance.http_client import answer, begin_answer, chunk, expect_cut, request
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Violation
from memmie_harness.conformance.peers.body import Body
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.http_routes import GROUP, RULE
from memmie_harness.conformance.tests.pressure import (
    CHUNK,
    MEBIBYTE,
    SMALL_BUFFER,
    kernel_bytes,
    stop_reading,
)

CHUNKED = "Transfer-Encoding: chunked"


@GROUP.test(
    "upload-streamed",
    "The backend gets each part of a body in chunks when it comes, and no trailers",
    level=FEATURE,
    rule=RULE,
)
async def upload_streamed(lab: Lab) -> None:
    raw = request(lab, "/thing", CHUNKED, method="POST")
    client, studio = await lab.knock(raw + chunk(b"first "))
    body = Body(studio, studio.head)
    true("a body in chunks", body.chunked and not studio.head.get("content-length"), studio.head.raw)
    equal("the first part", await body.part(6), b"first ")
    client.write(chunk(b"second"))
    equal("the second part", await body.part(6), b"second")
    client.write(b"0\r\nX-User-ID: evil\r\nX-Trailer: 1\r\n\r\n")
    equal("the rest", await body.rest(), b"")
    equal("the trailers", body.trailers, b"")
    answer(studio, 200)
    equal("the status", (await client.answer()).status, 200)


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    rows=[
        row("answer-in-chunks", "The client gets each part of an answer in chunks when it comes", "chunks"),
        row(
            "answer-with-length",
            "The client gets each part of an answer with a length when it comes",
            "length",
        ),
        row(
            "answer-of-unknown-length",
            "The client gets each part of an answer whose end is that of the connection when it comes",
            "end",
        ),
    ],
)
async def answer_streamed(lab: Lab, framing: str) -> None:
    line = {"chunks": [CHUNKED], "length": ["Content-Length: 12"], "end": []}[framing]

    def framed(data: bytes) -> bytes:
        return chunk(data) if framing == "chunks" else data

    client, studio = await lab.knock(request(lab))
    begin_answer(studio, *line)
    body = Body(client, await client.answer_head())
    for part in (b"first ", b"second"):
        studio.write(framed(part))
        equal("the next part", await body.part(6), part)
    studio.write(chunk(b"") if framing == "chunks" else b"")
    studio.leave()
    equal("the rest", await body.rest(), b"")


@GROUP.table(
    level=MUST,
    rule="RFC 9112 §8",
    rows=[
        row("cut-chunks", "An answer without its last chunk does not look complete", CHUNKED, chunk(b"half")),
        row(
            "cut-length",
            "An answer that is shorter than its length does not look complete",
            "Content-Length: 8",
            b"half",
        ),
    ],
)
async def cut(lab: Lab, line: str, begun: bytes) -> None:
    client, studio = await lab.knock(request(lab))
    begin_answer(studio, line)
    studio.write(begun)
    body = Body(client, await client.answer_head())
    equal("the first half", await body.part(4), b"half")
    studio.leave()
    await expect_cut(client, body)


@GROUP.test(
    "continue",
    "A client that waits for 100 gets it before it sends its body",
    level=FEATURE,
    rule="RFC 9110 §10.1.1, spec §3, HTTP",
)
async def continued(lab: Lab) -> None:
    client = await lab.dial()
    client.write(request(lab, "/thing", "Expect: 100-continue", "Content-Length: 4", method="POST"))
    seen, studio = await lab.answer_or_arrival(client)
    if studio is None:
        true("100 or a connection to a Studio", not isinstance(seen, Violation), seen)
        studio = None if client.head.status == 100 else await lab.arrival()
    if studio is not None and studio.head.get("expect"):
        studio.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not client.head.first_line:
        await client.answer()
    equal("the status", client.head.status, 100)
    client.write(b"body")
    studio = studio or await lab.arrival()
    equal("the body", await Body(studio, studio.head).rest(), b"body")
    answer(studio, 201)
    equal("the last status", (await client.answer()).status, 201)


@GROUP.test(
    "events",
    "A stream of events may be silent for long, and each event reaches the client when it comes",
    level=FEATURE,
    rule=RULE,
    needs=["http_idle_seconds"],
)
async def events(lab: Lab) -> None:
    silence = 1.5 * lab.setup.number("http_idle_seconds")
    client, studio = await lab.knock(request(lab, "/events", "Accept: text/event-stream"))
    begin_answer(studio, "Content-Type: text/event-stream")
    studio.write(b"data: 1\n\n")
    body = Body(client, await client.answer_head())
    equal("the first event", await body.part(9), b"data: 1\n\n")
    await client.expect_silence(silence)
    studio.write(b"data: 2\n\n")
    equal("the second event", await body.part(9), b"data: 2\n\n")


@GROUP.table(
    level=FEATURE,
    rule="spec §3, HTTP; spec §7 (WRITE_BUFFER_BYTES)",
    needs=["buffer_bytes"],
    rows=[
        row(
            "upload-held",
            "If the backend reads nothing, a body is no longer taken, and nothing is lost",
            "up",
        ),
        row(
            "answer-held",
            "If the client reads nothing, an answer is no longer taken, and nothing is lost",
            "down",
        ),
    ],
    seconds=60,
)
async def held(lab: Lab, direction: str) -> None:
    client = await lab.dial(receive_buffer=SMALL_BUFFER)
    if direction == "up":
        client, studio = await lab.knock(request(lab, "/thing", CHUNKED, method="POST"), client=client)
        sender, receiver, head = client, studio, studio.head
    else:
        client, studio = await lab.knock(request(lab), client=client)
        begin_answer(studio, CHUNKED)
        sender, receiver, head = studio, client, await client.answer_head()
    stop_reading(receiver)
    most = kernel_bytes() + int(lab.setup.number("buffer_bytes"))
    sent = await _send_until_stalled(sender, most + MEBIBYTE, 1.0)
    true(f"fewer than {most} bytes taken", sent < most, f"{sent} bytes")
    receiver.writer.transport.resume_reading()  # type: ignore[attr-defined] # a stream's transport reads
    sender.write(chunk(b""))
    body = await Body(receiver, head).rest()
    true(f"{sent} bytes as they were sent", body == b"x" * sent, f"{len(body)} bytes")


async def _send_until_stalled(sender: Side, most: int, seconds: float) -> int:
    """Send parts of a body until none is taken for some time; return how many bytes were sent."""
    sender.writer.transport.set_write_buffer_limits(high=CHUNK)
    sent = 0
    while sent < most:
        sender.write(chunk(b"x" * CHUNK))
        sent += CHUNK
        try:
            async with asyncio.timeout(seconds):
                await sender.writer.drain()
        except TimeoutError:
            break
    return sent


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    rows=[
        row("client-leaves", "If a client leaves before the answer, the backend's connection ends", ""),
        row(
            "client-leaves-late",
            "If a client leaves during the answer, the backend's connection ends",
            "first",
        ),
    ],
)
async def client_leaves(lab: Lab, begun: str) -> None:
    client, studio = await lab.knock(request(lab))
    if begun:
        begin_answer(studio, CHUNKED)
        studio.write(chunk(begun.encode()))
        await Body(client, await client.answer_head()).part(len(begun))
    client.reset()
    await studio.expect_end()


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    rows=[
        row(
            "sent-once-post",
            "A POST that the backend has not answered gets 502, and is not sent again",
            "POST",
            level=MUST,
            rule="RFC 9110 §9.2.2",
        ),
        row(
            "sent-once-get", "A GET that the backend has not answered gets 502, and is not sent again", "GET"
        ),
    ],
)
async def sent_once(lab: Lab, method: str) -> None:
    client, studio = await lab.knock(request(lab, method=method, body=b"once" if method == "POST" else b""))
    await Body(studio, studio.head).rest()
    studio.leave()
    equal("the status", (await client.answer()).status, 502)
    lab.no_arrival()
