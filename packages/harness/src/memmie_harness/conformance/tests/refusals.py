"""Handshakes that must not succeed: invalid ones of clients, and wrong answers of the backend."""

from __future__ import annotations

import re
from collections.abc import Sequence

from memmie_harness.conformance.group import FEATURE, MUST, SHOULD, Group, row
from memmie_harness.conformance.lab import Lab, equal, true
from memmie_harness.conformance.peers import TEXT, accept_for
from memmie_harness.conformance.peers.heads import KEY

GROUP = Group("refusals", "Refused handshakes")

WAITS = "spec §3 (the gateway answers the client only after Studio has accepted)"


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §4.2.1",
    needs=["checks_upgrade"],
    rows=[
        row("no-upgrade", "A request without Upgrade is refused", ["upgrade"], []),
        row(
            "other-upgrade", "A request for another protocol is refused", ["upgrade"], ["Upgrade: example/1"]
        ),
        row("no-connection", "A request without `Connection: Upgrade` is refused", ["connection"], []),
        row(
            "connection-close",
            "A request with `Connection: close` alone is refused",
            ["connection"],
            ["Connection: close"],
        ),
        row("no-key", "A request without a key is refused", ["sec-websocket-key"], []),
        row(
            "empty-key",
            "A request with an empty key is refused",
            ["sec-websocket-key"],
            ["Sec-WebSocket-Key: "],
        ),
        row(
            "short-key",
            "A key of 15 bytes is refused",
            ["sec-websocket-key"],
            ["Sec-WebSocket-Key: YSBjbGllbnQncyBub25j"],
        ),
        row(
            "long-key",
            "A key of 17 bytes is refused",
            ["sec-websocket-key"],
            ["Sec-WebSocket-Key: YSBjbGllbnQncyBub25jZXM="],
        ),
        row(
            "key-not-base64",
            "A key that is not base64 is refused",
            ["sec-websocket-key"],
            ["Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="],
        ),
        row("two-keys", "Two keys are refused", [], [f"Sec-WebSocket-Key: {KEY}"], rule="RFC 6455 §11.3.1"),
        row("no-version", "A request without a version is refused", ["sec-websocket-version"], []),
        row(
            "two-versions",
            "Two versions are refused",
            [],
            ["Sec-WebSocket-Version: 8"],
            rule="RFC 6455 §11.3.5",
        ),
    ],
)
async def invalid(lab: Lab, without: Sequence[str], lines: Sequence[str]) -> None:
    await lab.refused(lab.request(*lines, without=without))


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §4.2.2",
    needs=["checks_upgrade"],
    rows=[
        row("version-8", "Version 8 is answered by a 4xx with `Sec-WebSocket-Version: 13`", "8"),
        row("version-0", "Version 0 is answered by a 4xx with `Sec-WebSocket-Version: 13`", "0"),
        row("version-14", "Version 14 is answered by a 4xx with `Sec-WebSocket-Version: 13`", "14"),
    ],
)
async def version(lab: Lab, version: str) -> None:
    answer = await lab.refused(
        lab.request(f"Sec-WebSocket-Version: {version}", without=["sec-websocket-version"])
    )
    versions = [each.strip() for each in answer.get("sec-websocket-version").split(",")]
    true("Sec-WebSocket-Version with 13", "13" in versions, repr(answer.fields))


@GROUP.test(
    "upgrade-in-426",
    "An answer 426 has `Upgrade: websocket`",
    level=MUST,
    rule="RFC 9110 §15.5.22",
    needs=["checks_upgrade"],
)
async def upgrade_in_426(lab: Lab) -> None:
    answer = await lab.refused(lab.request(without=["upgrade", "connection"]))
    true(
        "`Upgrade: websocket` if the status is 426",
        answer.status != 426 or "websocket" in answer.get("upgrade").lower(),
        repr(answer.fields),
    )


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §4.2.1",
    needs=["checks_upgrade"],
    rows=[
        row("post", "POST is not a handshake", b"GET ", b"POST "),
        row("head", "HEAD is not a handshake", b"GET ", b"HEAD "),
        row("http-1-0", "HTTP/1.0 is not a handshake", b" HTTP/1.1", b" HTTP/1.0"),
        row("unknown-method", "An unknown method is not a handshake", b"GET ", b"BREW "),
    ],
)
async def request_line(lab: Lab, old: bytes, new: bytes) -> None:
    client = await lab.dial()
    client.write(lab.request().replace(old, new, 1))
    if new == b"HEAD ":
        head = await client.read_until(
            b"\r\n\r\n"
        )  # no body follows, whatever Content-Length says (RFC 9110 §9.3.2)
        true("an answer 4xx", b" 4" in head[:10], head)
        lab.no_arrival()
        return
    await lab.refusal(client, *range(400, 600))


@GROUP.test(
    "refusal-is-complete",
    "A refusal has a body of the announced length, or ends with the connection",
    level=MUST,
    rule="RFC 9112 §6.3",
    needs=["checks_upgrade"],
)
async def refusal_is_complete(lab: Lab) -> None:
    client = await lab.dial()
    client.write(lab.request(without=["sec-websocket-key"]))
    answer = await lab.refusal(client)
    if "close" in answer.get("connection").lower():
        equal("what comes after the answer", await client.expect_end(), b"")


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
        rest = await client.leftover(lab.patience / 2)
        true("a Close frame, and nothing from the backend", rest and b"forbidden" not in rest, rest)
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
    client, studio = await lab.knock()
    true("no answer before the backend has answered", not client.head.first_line, client.head.first_line)
    studio.write(data)
    await studio.writer.drain()
    studio.leave()
    answer = await client.answer()
    true("an answer 5xx", 500 <= answer.status < 600, answer.first_line)


@GROUP.table(
    level=FEATURE,
    rule=WAITS,
    needs=["answers_after_backend"],
    rows=[
        row(
            "backend-200",
            "A 200 of the backend is not a 101 for the client",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        ),
        row(
            "backend-302",
            "A 302 of the backend is not a 101 for the client",
            b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        ),
        row(
            "backend-garbage",
            "Garbage of the backend is not a 101 for the client",
            b"\x00\xffnot HTTP at all\r\n\r\n",
        ),
    ],
)
async def backend_answers_else(lab: Lab, data: bytes) -> None:
    client, studio = await lab.knock()
    true("no answer before the backend has answered", not client.head.first_line, client.head.first_line)
    studio.write(data)
    await studio.writer.drain()
    studio.leave()
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
    level=FEATURE,
    rule="RFC 9112 §7.1",
    needs=["forwards_refusals"],
)
async def refusal_chunked(lab: Lab) -> None:
    client, studio = await lab.knock()
    studio.write(b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
    answer = await client.answer()
    equal("status and body", (answer.status, answer.body), (403, b"abcdefg"))


@GROUP.test(
    "refused-one-harms-nobody",
    "After a refused handshake, others of the same user succeed",
    level=MUST,
    rule="RFC 6455 §4.2.1",
    needs=["checks_upgrade"],
)
async def harms_nobody(lab: Lab) -> None:
    for _ in range(3):
        await lab.refused(lab.request(without=["sec-websocket-key"]))
    pair = await lab.join()
    pair.client.send(TEXT, "fine")
    await pair.studio.expect_message(TEXT, "fine")


@GROUP.table(
    level=FEATURE,
    rule="RFC 6455 §10.2, spec §1, origins",
    needs=["checks_origin"],
    rows=[
        row("origin-other-host", "A page of another host gets 403", "https://evil.test"),
        row("origin-subdomain", "A page of a subdomain of the allowed host gets 403", "https://x.{host}"),
        row(
            "origin-longer-name",
            "A page of a host that only begins like the allowed one gets 403",
            "{origin}.evil.test",
        ),
        row(
            "origin-ends-alike",
            "A page of a host that only ends like the allowed one gets 403",
            "https://evil-{host}",
        ),
        row("origin-other-scheme", "A page of another scheme gets 403", "http://{host}"),
        row("origin-other-port", "A page of another port gets 403", "{origin}:8443"),
        row("origin-null", "The origin null gets 403", "null"),
        row(
            "origin-two",
            "Two origins get 4xx, although one is allowed",
            "{origin}\r\nOrigin: https://evil.test",
        ),
    ],
)
async def other_origin(lab: Lab, pattern: str) -> None:
    origin = lab.setup.text("checks_origin")
    value = pattern.format(origin=origin, host=origin.partition("://")[2])
    await lab.refused(lab.request(f"Origin: {value}"), *((403,) if "\r" not in value else ()))


@GROUP.table(
    level=FEATURE,
    rule="RFC 6455 §10.2, spec §1, origins",
    needs=["checks_origin"],
    rows=[
        row("origin-allowed", "A page of the allowed origin is accepted", ["Origin: {}"]),
        row("origin-none", "A client without an origin, which is not a browser, is accepted", []),
    ],
)
async def allowed_origin(lab: Lab, lines: list[str]) -> None:
    pair = await lab.join(lab.request(*(line.format(lab.setup.text("checks_origin")) for line in lines)))
    await pair.exchange()
