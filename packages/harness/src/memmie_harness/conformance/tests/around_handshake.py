"""What comes before, within and right behind an opening handshake: other requests, bodies, early frames."""

from __future__ import annotations

import re

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, MUST, SHOULD, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Silence, Violation
from memmie_harness.conformance.pair import accept
from memmie_harness.conformance.peers import BINARY, CLOSE, TEXT, build, close_body
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.handshake import GROUP


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §4.1",
    rows=[
        row(
            "studio-frame-behind-101",
            "A frame in the same segment as the backend's 101 arrives",
            build(TEXT, b"early"),
            1,
        ),
        row(
            "studio-frames-behind-101",
            "A hundred frames in the same segment as the backend's 101 arrive in order",
            b"".join(build(TEXT, str(n).encode()) for n in range(100)),
            100,
        ),
        row(
            "studio-large-behind-101",
            "64 KiB right behind the backend's 101 arrive",
            build(BINARY, b"x" * 65536),
            1,
        ),
    ],
)
async def early_from_studio(lab: Lab, behind: bytes, count: int) -> None:
    pair = await lab.join(behind=behind)
    for number in range(count):
        opcode, payload = await pair.client.message()
        if count == 1:
            equal("the message", build(opcode, payload), behind)
        else:
            equal("the message", payload, str(number).encode())
    await pair.exchange()


@GROUP.test(
    "studio-close-behind-101",
    "A Close frame in the same segment as the backend's 101 arrives",
    level=FEATURE,
    rule="spec §1, closes",
    needs=["forwards_closes"],
)
async def early_close(lab: Lab) -> None:
    pair = await lab.join(behind=build(TEXT, b"last") + build(CLOSE, close_body(4123, "early")))
    await pair.client.expect_message(TEXT, "last")
    await pair.client.expect_close(4123, reason="early")


@GROUP.test(
    "client-frame-behind-request",
    "A frame that the client sends without waiting for the answer is not lost",
    level=FEATURE,
    rule="spec §8 (what was received with the handshake is forwarded)",
    needs=["keeps_early_bytes"],
)
async def early_from_client(lab: Lab) -> None:
    client = await lab.dial()
    client.write(lab.request() + client.frame(TEXT, "early"))
    pair = await lab.join(b"", client=client)
    await pair.studio.expect_message(TEXT, "early")
    await pair.exchange()


@GROUP.test(
    "client-frame-before-backend",
    "A frame that the client sends while the backend has not answered is not lost",
    level=FEATURE,
    rule="spec §8 (what was received with the handshake is forwarded)",
    needs=["keeps_early_bytes"],
)
async def early_while_dialling(lab: Lab) -> None:
    client, studio = await lab.knock()
    client.send(TEXT, "early")
    client.send(BINARY, b"x" * 20_000)
    accept(studio)
    await lab.accepted(client)
    await studio.expect_message(TEXT, "early")
    await studio.expect_message(BINARY, b"x" * 20_000)


@GROUP.test(
    "after-keep-alive",
    "After an answer without `Connection: close`, the same connection takes a handshake",
    level=MUST,
    rule="RFC 9112 §9.3",
    needs=["status_path"],
)
async def after_keep_alive(lab: Lab) -> None:
    client = await lab.dial()
    client.write(f"GET {lab.setup.text('status_path')} HTTP/1.1\r\nHost: gateway.test\r\n\r\n".encode())
    answer = await client.answer()
    equal("the status", answer.status, 200)
    if "close" in answer.get("connection").lower():
        equal("what comes after the answer", await client.expect_end(), b"")
        return
    client.head = type(answer)("", ())
    pair = await lab.join(client=client)
    await pair.exchange()


@GROUP.test(
    "pipelined",
    "A handshake right behind another request is answered in order, or the connection is closed after the first answer",
    level=MUST,
    rule="RFC 9112 §9.3.2",
    needs=["status_path"],
)
async def pipelined(lab: Lab) -> None:
    client = await lab.dial()
    status = f"GET {lab.setup.text('status_path')} HTTP/1.1\r\nHost: gateway.test\r\n\r\n".encode()
    client.write(status + lab.request())
    answer = await client.answer()
    equal("the status", answer.status, 200)
    if "close" in answer.get("connection").lower():
        equal("what comes after the answer", await client.expect_end(), b"")
        lab.no_arrival()
        return
    client.head = type(answer)("", ())
    pair = await lab.join(b"", client=client)
    await pair.exchange()


@GROUP.table(
    level=MUST,
    rule="RFC 9112 §6.3",
    rows=[
        row(
            "body-length",
            "A body announced by Content-Length does not reach the backend as frames",
            "Content-Length: 11",
            b"hello world",
        ),
        row(
            "body-chunked",
            "A body in chunks does not reach the backend as frames",
            "Transfer-Encoding: chunked",
            b"b\r\nhello world\r\n0\r\n\r\n",
        ),
    ],
)
async def body(lab: Lab, line: str, content: bytes) -> None:
    client = await lab.dial()
    client.write(lab.request(line) + content)
    answer, studio = await lab.answer_or_arrival(client)
    if studio is None:
        if not isinstance(answer, Exception):
            assert answer is not None
            true(
                "an answer other than 101, or a connection to a Studio",
                answer.status != 101,
                answer.first_line,
            )
        return
    # The Studio answers at the head. What comes then is the body that the head announces, and no other byte before a frame:
    # a request ends where its fields say (RFC 9112 §6.3), and frames begin behind it (RFC 6455 §4.1).
    accept(studio)
    try:
        await lab.accepted(client)
    except Silence:
        raise
    except Violation:
        return
    client.send(TEXT, "after")
    forwarded = await announced_body(studio)
    true("the body of the client, or an empty one", forwarded in {b"", b"hello world"}, forwarded)
    await studio.expect_message(TEXT, "after")


async def announced_body(studio: Side) -> bytes:
    """Read the body that the request at a Studio announces (RFC 9112 §6.3); nothing if it announces none."""
    if "chunked" not in studio.head.get("transfer-encoding").lower():
        return await studio.read(int(studio.head.get("content-length") or "0"))
    parts = list[bytes]()
    while True:
        line = await studio.read_until(b"\r\n")
        size = line.split(b";")[0].strip()
        true("the size of a chunk", re.fullmatch(rb"[0-9a-fA-F]{1,8}", size), line)
        chunk = await studio.read(int(size, 16) + 2)
        true("CR LF behind a chunk", chunk.endswith(b"\r\n"), chunk)
        if len(chunk) == 2:
            return b"".join(parts)
        parts.append(chunk[:-2])


@GROUP.test(
    "expect-continue",
    "`Expect: 100-continue` is met with 100, 417, or the usual answer, and the connection does not hang",
    level=SHOULD,
    rule="RFC 9110 §10.1.1",
)
async def expect_continue(lab: Lab) -> None:
    client = await lab.dial()
    client.write(lab.request("Expect: 100-continue"))
    answer, studio = await lab.answer_or_arrival(client)
    if studio is not None:
        accept(studio)
        answer = answer or await client.answer()
    if isinstance(answer, Exception):
        raise answer
    assert answer is not None
    true("100, 101 or 4xx", answer.status in {100, 101} or 400 <= answer.status < 500, answer.first_line)
