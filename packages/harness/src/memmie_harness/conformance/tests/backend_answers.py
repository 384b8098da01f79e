"""Answers of the backend other than a valid 101."""

from __future__ import annotations

import re

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, MUST, SHOULD, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.peers import TEXT, accept_for
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.refusals import GROUP

WAITS = "spec §3 (the gateway answers the client only after Studio has accepted)"


async def answered(lab: Lab, data: bytes) -> Side:
    """Return a client whose backend has sent these bytes and ended the connection, and that had no answer before."""
    client, studio = await lab.knock()
    true("no answer before the backend has answered", not client.head.first_line, client.head.first_line)
    studio.write(data)
    await studio.writer.drain()
    studio.leave()
    return client


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §4.1",
    needs=["checks_backend_upgrade"],
    rows=[
        row(
            "wrong-accept",
            "A 101 of the backend with a wrong Sec-WebSocket-Accept is not passed on",
            {"Sec-WebSocket-Accept": accept_for("another key")},
        ),
        row(
            "no-accept",
            "A 101 of the backend without Sec-WebSocket-Accept is not passed on",
            {"Sec-WebSocket-Accept": None},
        ),
        row("backend-no-upgrade", "A 101 of the backend without Upgrade is not passed on", {"Upgrade": None}),
        row(
            "backend-other-upgrade",
            "A 101 of the backend for another protocol is not passed on",
            {"Upgrade": "example/1"},
        ),
        row(
            "backend-no-connection",
            "A 101 of the backend without `Connection: Upgrade` is not passed on",
            {"Connection": None},
        ),
        row(
            "backend-unasked-subprotocol",
            "A 101 of the backend with a subprotocol that was not offered is not passed on",
            {"Sec-WebSocket-Protocol": "unasked"},
        ),
        row(
            "backend-unasked-extension",
            "A 101 of the backend with an extension that was not offered is not passed on",
            {"Sec-WebSocket-Extensions": "x-unasked"},
        ),
    ],
)
async def wrong_101(lab: Lab, changes: dict[str, str | None]) -> None:
    client, studio = await lab.knock()
    fields: dict[str, str | None] = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept_for(studio.head.get("sec-websocket-key")),
        **changes,
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    head = "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode()
    studio.write(head + studio.frame(TEXT, "forbidden"))
    await studio.writer.drain()
    studio.leave()
    if client.head.first_line:  # the gateway has answered before the backend; then it closes
        rest = await client.next_bytes()
        rest += await client.leftover(lab.patience / 2) if rest else b""
        true("the end of the connection, and nothing from the backend", b"forbidden" not in rest, rest)
        return
    answer = await client.answer()
    true("an answer 5xx", 500 <= answer.status < 600, answer.first_line)


@GROUP.table(
    level=FEATURE,
    rule=WAITS,
    needs=["answers_after_backend"],
    rows=[
        row(
            "backend-500",
            "A 500 of the backend is a 5xx for the client",
            b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        ),
        row(
            "backend-503",
            "A 503 of the backend is a 5xx for the client",
            b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        ),
        row("backend-closes", "If the backend closes without an answer, the client gets 5xx", b""),
        row(
            "backend-cut-head",
            "If the backend closes inside its head, the client gets 5xx",
            b"HTTP/1.1 101 Switching Proto",
        ),
    ],
)
async def backend_fails(lab: Lab, data: bytes) -> None:
    client = await answered(lab, data)
    answer = await client.answer()
    true("an answer 5xx", 500 <= answer.status < 600, answer.first_line)


@GROUP.table(
    level=FEATURE,
    rule=WAITS,
    needs=["answers_after_backend"],
    rows=[
        row(
            "backend-200",
            "If the backend answers 200, the client gets an answer that is not 101",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        ),
        row(
            "backend-302",
            "If the backend answers 302, the client gets an answer that is not 101",
            b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        ),
        row(
            "backend-garbage",
            "If the backend answers with bytes that are not HTTP, the client gets an answer that is not 101",
            b"\x00\xffnot HTTP at all\r\n\r\n",
        ),
    ],
)
async def backend_answers_else(lab: Lab, data: bytes) -> None:
    client = await answered(lab, data)
    seen = await client.leftover(lab.patience / 5)
    true("an answer other than 101", seen and not re.match(rb"HTTP/1\.\d 101 ", seen), seen)


@GROUP.test(
    "answer-waits-for-backend",
    "While the backend has not answered, the client gets no answer",
    level=FEATURE,
    rule=WAITS,
    needs=["answers_after_backend"],
)
async def answer_waits(lab: Lab) -> None:
    client, _ = await lab.knock()
    true("no answer before the backend has answered", not client.head.first_line, client.head.first_line)
    await client.expect_silence()


@GROUP.table(
    level=FEATURE,
    rule="spec §1, refusals",
    needs=["forwards_refusals"],
    rows=[
        row("passes-400", "A 400 of the backend reaches the client", 400, []),
        row(
            "passes-401",
            "A 401 of the backend reaches the client with WWW-Authenticate",
            401,
            ["WWW-Authenticate: Bearer"],
        ),
        row("passes-403", "A 403 of the backend reaches the client", 403, []),
        row("passes-404", "A 404 of the backend reaches the client", 404, []),
        row(
            "passes-429", "A 429 of the backend reaches the client with Retry-After", 429, ["Retry-After: 17"]
        ),
        row(
            "passes-cookie", "A refusal reaches the client with Set-Cookie", 403, ["Set-Cookie: a=b; Path=/"]
        ),
        row(
            "passes-two-cookies",
            "A refusal reaches the client with two Set-Cookie",
            403,
            ["Set-Cookie: a=b", "Set-Cookie: c=d"],
        ),
    ],
)
async def passes_refusal(lab: Lab, status: int, lines: list[str]) -> None:
    client, studio = await lab.knock()
    body = b'{"why": "the backend says so"}'
    head = [
        f"HTTP/1.1 {status} Words",
        "Content-Type: application/json",
        *lines,
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    studio.write("\r\n".join(head).encode() + body)
    answer = await client.answer()
    equal("the status", answer.status, status)
    equal("the body", answer.body, body)
    for line in lines:
        name, _, value = line.partition(": ")
        true(f"the field {line}", (name.lower(), value) in answer.fields, repr(answer.fields))


@GROUP.table(
    level=MUST,
    rule="RFC 9110 §7.6.1",
    needs=["forwards_refusals"],
    rows=[
        row(
            "refusal-keep-alive",
            "Keep-Alive of a refusal does not reach the client",
            "Keep-Alive: timeout=987",
            "timeout=987",
            level=SHOULD,  # it is a must only where Connection names the field
        ),
        row(
            "refusal-named",
            "A field of a refusal that Connection names does not reach the client",
            "Connection: x-hop\r\nX-Hop: 987",
            "987",
        ),
        row(
            "refusal-proxy-connection",
            "Proxy-Connection of a refusal does not reach the client",
            "Proxy-Connection: keep-987",
            "keep-987",
            level=SHOULD,
        ),
    ],
)
async def refusal_hop_by_hop(lab: Lab, lines: str, value: str) -> None:
    client, studio = await lab.knock()
    studio.write(f"HTTP/1.1 403 No\r\n{lines}\r\nContent-Length: 2\r\n\r\nno".encode())
    answer = await client.answer()
    equal("the status", answer.status, 403)
    true(f"no field with {value}", value not in dict(answer.fields).values(), repr(answer.fields))


@GROUP.test(
    "refusal-chunked",
    "A refusal in chunks reaches the client complete",
    level=MUST,
    rule="RFC 9112 §7.1",
    needs=["forwards_refusals"],
)
async def refusal_chunked(lab: Lab) -> None:
    client, studio = await lab.knock()
    studio.write(b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
    answer = await client.answer()
    equal("status and body", (answer.status, answer.body), (403, b"abcdefg"))
