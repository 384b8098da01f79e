"""Hostile bytes: requests that servers read differently, and bytes that are not a request."""

from __future__ import annotations

from typing import Final

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, MUST, SHOULD, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.pair import accept
from memmie_harness.conformance.peers import TEXT, Head
from memmie_harness.conformance.peers.side import Side

GROUP = Group("hostile", "Hostile input")

NO_SETTINGS: Final = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The empty SETTINGS frame behind the preface of an HTTP/2 client (RFC 9113 §3.4)."""

ENDLESS_BYTES: Final = 1 << 26
"""How large a head of the backend becomes at most; servers that allow more than others allow 10 MiB."""


@GROUP.table(
    level=MUST,
    rule="RFC 9112 §3.2",
    rows=[
        row("no-host", "A request without Host gets 400", ["host"], []),
        row("two-hosts", "A request with two Hosts gets 400", [], ["Host: other.test"]),
        row("two-equal-hosts", "A request with the same Host twice gets 400", [], ["Host: gateway.test"]),
        row("host-with-blank", "A Host with a blank inside gets 400", ["host"], ["Host: gateway test"]),
        row(
            "blank-before-colon",
            "A blank between a field's name and the colon gets 400",
            [],
            ["X-Name : value"],
            rule="RFC 9112 §5.1",
        ),
        row(
            "blank-before-host-colon",
            "A blank between `Host` and the colon gets 400",
            ["host"],
            ["Host : gateway.test"],
            rule="RFC 9112 §5.1",
        ),
        row(
            "two-lengths",
            "Two different Content-Length get 400",
            [],
            ["Content-Length: 1", "Content-Length: 2"],
            rule="RFC 9112 §6.3",
        ),
        row(
            "length-not-a-number",
            "A Content-Length that is not a number gets 400",
            [],
            ["Content-Length: 0x1"],
            rule="RFC 9112 §6.3",
        ),
        row(
            "length-negative",
            "A negative Content-Length gets 400",
            [],
            ["Content-Length: -1"],
            rule="RFC 9112 §6.3",
        ),
    ],
)
async def bad_request(lab: Lab, without: list[str], lines: list[str]) -> None:
    await lab.refused(lab.request(*lines, without=without), 400)


@GROUP.table(
    level=MUST,
    rule="RFC 9110 §5.1, §5.6.2",
    rows=[
        row("name-with-blank", "A field with a blank in its name is refused or dropped", b"X Evil: evil-987"),
        row(
            "name-with-bracket",
            "A field with a bracket in its name is refused or dropped",
            b"X(Evil): evil-987",
        ),
        row(
            "line-without-colon",
            "A line without a colon is refused or dropped",
            b"evil-987",
            level=SHOULD,
            rule="RFC 9112 §2.2",
        ),
        row("name-empty", "A field with an empty name is refused or dropped", b": evil-987"),
    ],
)
async def bad_name(lab: Lab, line: bytes) -> None:
    client = await lab.dial()
    client.write(lab.request()[:-2] + line + b"\r\n\r\n")
    answer, studio = await lab.answer_or_arrival(client)
    if studio is not None:
        left = [f"{name}: {value}" for name, value in studio.head.fields if "evil-987" in name + value]
        equal("what is left of the line", left, [])
    elif isinstance(answer, Head):
        true("an answer 4xx", 400 <= answer.status < 500, answer.first_line)


@GROUP.table(
    level=MUST,
    rule="RFC 9110 §5.5",
    rows=[
        row("nul-in-value", "A NUL in a value does not reach the backend", b"a\x00b", b"\x00"),
        row("cr-in-value", "A bare CR in a value does not reach the backend", b"a\rb", b"\r"),
        row(
            "fold",
            "A folded line does not reach the backend as it is",
            b"a\r\n b",
            b"\n b",
            rule="RFC 9112 §5.2",
        ),
        row(
            "fold-with-tab",
            "A line that is folded with a tab does not reach the backend as it is",
            b"a\r\n\tX-Evil: b",
            b"\n\tX-Evil",
            rule="RFC 9112 §5.2",
        ),
    ],
)
async def bad_value(lab: Lab, value: bytes, forbidden: bytes) -> None:
    client = await lab.dial()
    client.write(lab.request()[:-2] + b"X-Value: " + value + b"\r\n\r\n")
    answer, studio = await lab.answer_or_arrival(client)
    if studio is not None:
        raw = "\n".join(f"{name}: {text}" for name, text in studio.head.fields).encode("latin-1")
        true("a refusal, or a head without these bytes", forbidden not in raw, raw)
    elif isinstance(answer, Head):
        true("an answer 4xx", 400 <= answer.status < 500, answer.first_line)


@GROUP.test(
    "length-and-chunked",
    "Content-Length beside Transfer-Encoding is refused, or does not reach the backend",
    level=MUST,
    rule="RFC 9112 §6.1",
)
async def length_and_chunked(lab: Lab) -> None:
    client = await lab.dial()
    client.write(lab.request("Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n")
    answer, studio = await lab.answer_or_arrival(client)
    if studio is not None:
        names = dict(studio.head.fields)
        true("not both fields", not ("content-length" in names and "transfer-encoding" in names), repr(names))
    elif isinstance(answer, Head):
        true("an answer other than 101", answer.status != 101, answer.first_line)


@GROUP.table(
    level=MUST,
    rule="RFC 9112 §6.3, §9.3",
    rows=[
        row(
            "hidden-in-body",
            "A handshake inside the body of another request does not reach the backend",
            "Content-Length: {}",
        ),
        row(
            "hidden-in-chunk",
            "A handshake inside a chunk of another request does not reach the backend",
            "Transfer-Encoding: chunked",
        ),
    ],
)
async def hidden(lab: Lab, line: str) -> None:
    inner = lab.request()
    content = inner if "{}" in line else b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)
    outer = (
        f"POST /nothing-here HTTP/1.1\r\nHost: gateway.test\r\n{line.format(len(content))}\r\n\r\n".encode()
    )
    client = await lab.dial()
    client.write(outer + content)
    answer, studio = await lab.answer_or_arrival(client)
    true("no connection to a Studio", studio is None, "a connection to a Studio")
    if isinstance(answer, Head):
        true("an answer other than 101", answer.status != 101, answer.first_line)
        rest = await client.leftover()
        true("no second answer 101", b" 101 " not in rest, rest)
    lab.no_arrival()


@GROUP.table(
    level=MUST,
    rule="RFC 9112 §2.2, RFC 9110 §5.5",
    rows=[
        row(
            "line-end-in-query",
            "An encoded line end in the query does not become a header",
            "a=1%0d%0aX-Injected:%201",
        ),
        row(
            "line-end-in-query-upper-case",
            "An encoded line end in upper case does not become a header",
            "a=1%0D%0AX-Injected:%201",
        ),
        row("nul-in-query", "An encoded NUL in the query stays encoded", "a=1%00X-Injected"),
        row("blank-in-query", "An encoded blank in the query does not end the target", "a=1%20HTTP/1.1"),
    ],
)
async def injected(lab: Lab, query: str) -> None:
    client = await lab.dial()
    client.write(lab.request(query=query))
    answer, studio = await lab.answer_or_arrival(client)
    if studio is None:
        true(
            "a refusal, or a connection to a Studio",
            isinstance(answer, Head) and answer.status >= 400,
            repr(answer),
        )
        return
    true("no injected field", "x-injected" not in dict(studio.head.fields), studio.head.first_line)
    first = studio.head.first_line
    true("a request line of three parts", first.count(" ") == 2 and "\0" not in first, first)


@GROUP.table(
    level=SHOULD,
    rule="RFC 9112 §3",
    rows=[
        # A server may wait for the 24 bytes of an HTTP/2 preface before it decides.
        row(
            "garbage",
            "Bytes that are not HTTP end the connection",
            b"\x00\x01\x02\xff\xfe" * 8 + b"\r\n\r\n",
        ),
        row(
            "tls",
            "A TLS handshake on the plain port ends the connection",
            b"\x16\x03\x01\x00\x15\x01\x00\x00\x11\x03\x03" + b"r" * 16 + b"\r\n\r\n",
        ),
        row(
            "no-version",
            "A request line without a version ends the connection",
            b"GET /ws\r\nHost: gateway.test\r\n\r\n",
        ),
        row(
            "no-target",
            "A request line without a target ends the connection",
            b"GET  HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
        ),
        row(
            "control-in-target",
            "A control character in the target is refused",
            b"GET /ws\x01 HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
        ),
        row("only-line-ends", "Line ends alone do no harm", b"\r\n" * 50 + b"x\r\n\r\n"),
    ],
)
async def garbage(lab: Lab, data: bytes) -> None:
    client = await lab.dial()
    client.write(data)
    seen = await client.expect_end()
    true("no answer 101 or 2xx", b" 101 " not in seen[:20] and b" 20" not in seen[:13], seen)
    pair = await lab.join()
    await pair.exchange()


@GROUP.test(
    "http-2",
    "An HTTP/2 preface ends the connection, or is answered in HTTP/2",
    level=SHOULD,
    rule="RFC 9112 §3, RFC 9113 §3.4",
)
async def http_2(lab: Lab) -> None:
    client = await lab.dial()
    client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + NO_SETTINGS)
    head = await client.next_bytes()
    if head[3:4] != b"\x04":  # the type of a SETTINGS frame, the first that a server sends
        seen = head + await client.expect_end()
        true("no answer 101 or 2xx", b" 101 " not in seen[:20] and b" 20" not in seen[:13], seen)
    pair = await lab.join()
    await pair.exchange()


@GROUP.test(
    "unknown-version",
    "A request in an unknown HTTP version is refused, or answered as one in HTTP/1.1",
    level=SHOULD,
    rule="RFC 9110 §2.5, §15.6.6",
)
async def unknown_version(lab: Lab) -> None:
    client = await lab.dial()
    client.write(b"GET /ws HTTP/9.9\r\nHost: gateway.test\r\n\r\n")
    seen = await client.next_bytes()
    true("the end of the connection, or an answer other than 101", b" 101 " not in seen[:20], seen)
    pair = await lab.join()
    await pair.exchange()


@GROUP.test(
    "leaves-before-backend",
    "A client that leaves before the backend answers harms nobody",
    level=MUST,
    rule="RFC 9112 §2.2",
)
async def leaves_before_backend(lab: Lab) -> None:
    client, studio = await lab.knock()
    client.reset()
    accept(studio)
    await studio.expect_close_or_end()
    pair = await lab.join()
    await pair.exchange()


@GROUP.test(
    "studio-head-too-large",
    "An endless answer of the backend is cut off, and the client gets 5xx",
    level=FEATURE,
    rule="spec §1, refusals",
    needs=["answers_after_backend"],
)
async def studio_head_too_large(lab: Lab) -> None:
    client, studio = await lab.knock()
    lab.background(_write_without_end(studio))
    answer = await client.answer()
    true("an answer 5xx", 500 <= answer.status < 600, answer.first_line)


async def _write_without_end(studio: Side) -> None:
    """Write the head of an answer that is larger than any limit, as long as somebody reads it."""
    studio.write(b"HTTP/1.1 101 Switching Protocols\r\nX-Large: ")
    for _ in range(ENDLESS_BYTES // (1 << 16)):
        studio.writer.write(b"x" * (1 << 16))  # not into the transcript
        await studio.writer.drain()


@GROUP.test(
    "studio-splits-answer",
    "A backend cannot inject a header into the client's answer by a bare CR or LF",
    level=MUST,
    rule="RFC 9110 §5.5",
    needs=["forwards_subprotocols", "token_header"],
)
async def studio_splits(lab: Lab) -> None:
    client, studio = await lab.knock(lab.request("Sec-WebSocket-Protocol: chat"))
    accept(studio, "Sec-WebSocket-Protocol: chat\rX-Injected: 1")
    answer = await client.answer()
    true(
        "no injected field",
        "x-injected" not in dict(answer.fields) and "\r" not in answer.get("sec-websocket-protocol"),
        repr(answer.fields),
    )


@GROUP.test(
    "two-equal-requests",
    "Two connections with equal requests are two connections",
    level=MUST,
    rule="RFC 6455 §4.1",
)
async def two_equal(lab: Lab) -> None:
    request = lab.request()
    first, second = await lab.join(request), await lab.join(request)
    first.client.send(TEXT, "first")
    second.client.send(TEXT, "second")
    seen = [(await pair.studio.message())[1] for pair in (first, second)]
    equal("the messages", seen, [b"first", b"second"])
