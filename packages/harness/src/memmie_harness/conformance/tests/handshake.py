"""The opening handshake, as valid clients and Studios send it."""

from __future__ import annotations

import base64
import binascii

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import MUST, SHOULD, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.peers import KEY, accept_for

GROUP = Group("handshake", "Opening handshake")

OPENING = "RFC 6455 §4.2.1"
ANSWER = "RFC 6455 §4.2.2"


@GROUP.test("plain", "A plain handshake is accepted, and messages pass both ways", level=MUST, rule=OPENING)
async def plain(lab: Lab) -> None:
    pair = await lab.join()
    await pair.exchange()


@GROUP.table(
    level=MUST,
    rule=OPENING,
    rows=[
        row("upgrade-mixed-case", "`Upgrade: WebSocket` is accepted", "Upgrade: WebSocket"),
        row("upgrade-upper-case", "`Upgrade: WEBSOCKET` is accepted", "Upgrade: WEBSOCKET"),
        row("connection-lower-case", "`Connection: upgrade` is accepted", "Connection: upgrade"),
        row("connection-upper-case", "`Connection: UPGRADE` is accepted", "Connection: UPGRADE"),
        row(
            "connection-list",
            "`Connection: keep-alive, Upgrade` is accepted, which Firefox sends",
            "Connection: keep-alive, Upgrade",
        ),
        row(
            "connection-list-without-blanks",
            "`Connection: keep-alive,Upgrade` is accepted",
            "Connection: keep-alive,Upgrade",
        ),
        row(
            "connection-in-two-fields",
            "Two fields `Connection` are read as one list",
            "Connection: keep-alive\r\nConnection: Upgrade",
            rule="RFC 9110 §5.3",
        ),
        row(
            "upgrade-list",
            "`Upgrade` may list other protocols, too",
            "Upgrade: websocket, example/1",
            level=SHOULD,
            rule="RFC 9110 §7.8",
        ),
        row(
            "name-lower-case", "Field names may be in lower case", "upgrade: websocket", rule="RFC 9110 §5.1"
        ),
        row(
            "name-upper-case", "Field names may be in upper case", "UPGRADE: websocket", rule="RFC 9110 §5.1"
        ),
        row("no-blank", "No blank is needed after the colon", "Upgrade:websocket", rule="RFC 9112 §5"),
        row(
            "blanks-around",
            "Blanks and tabs around a value are ignored",
            "Upgrade: \t websocket \t ",
            rule="RFC 9112 §5",
        ),
    ],
)
async def accepted_spelling(lab: Lab, line: str) -> None:
    name = line.partition(":")[0].lower()
    pair = await lab.join(lab.request(line, without=[name]))
    await pair.exchange()


@GROUP.test(
    "head-in-single-bytes", "A head that arrives byte by byte is accepted", level=MUST, rule="RFC 9112 §2.2"
)
async def head_in_single_bytes(lab: Lab) -> None:
    client = await lab.dial()
    for byte in lab.request():
        client.write(bytes([byte]))
        await client.writer.drain()
    pair = await lab.join(b"", client=client)
    await pair.exchange()


@GROUP.test("absolute-form", "A target in absolute form is accepted", level=MUST, rule="RFC 9112 §3.2.2")
async def absolute_form(lab: Lab) -> None:
    pair = await lab.join(lab.request(target=f"http://gateway.test{lab.path}"))
    await pair.exchange()


@GROUP.test(
    "empty-line-first", "An empty line before the request line is ignored", level=SHOULD, rule="RFC 9112 §2.2"
)
async def empty_line_first(lab: Lab) -> None:
    pair = await lab.join(b"\r\n" + lab.request())
    await pair.exchange()


@GROUP.table(
    level=SHOULD,
    rule="RFC 9110 §5.4",
    rows=[
        row(
            "forty-fields", "Forty more header fields are accepted", [f"X-Field-{n}: {n}" for n in range(40)]
        ),
        row("large-cookie", "A cookie of 4 KiB is accepted", ["Cookie: session=" + "c" * 4096]),
        row(
            "empty-value",
            "A field with an empty value is accepted",
            ["X-Empty:"],
            level=MUST,
            rule="RFC 9110 §5.5",
        ),
        row(
            "latin-1-value", "A field with bytes above 0x7f is accepted", ["X-Name: M\xfcller"], level=SHOULD
        ),
    ],
)
async def more_fields(lab: Lab, lines: list[str]) -> None:
    pair = await lab.join(lab.request(*lines))
    await pair.exchange()


@GROUP.table(
    level=MUST,
    rule=ANSWER,
    rows=[
        row("answers-key", "Sec-WebSocket-Accept belongs to the client's key", KEY),
        row(
            "answers-other-key",
            "Sec-WebSocket-Accept belongs to the client's key, not to a fixed one",
            base64.b64encode(b"0123456789abcdef").decode(),
        ),
    ],
)
async def answers_key(lab: Lab, key: str) -> None:
    pair = await lab.join(lab.request(f"Sec-WebSocket-Key: {key}", without=["sec-websocket-key"]))
    equal("Sec-WebSocket-Accept", pair.client.head.get("sec-websocket-accept"), accept_for(key))


@GROUP.test(
    "answer-fields", "The 101 has `Upgrade: websocket` and `Connection: Upgrade`", level=MUST, rule=ANSWER
)
async def answer_fields(lab: Lab) -> None:
    head = (await lab.join()).client.head
    equal("Upgrade in lower case", head.get("upgrade").lower(), "websocket")
    tokens = [token.strip().lower() for token in head.get("connection").split(",")]
    true("`upgrade` in Connection", "upgrade" in tokens, head.get("connection"))


@GROUP.table(
    level=MUST,
    rule="RFC 9110 §8.6",
    rows=[
        row("no-content-length-in-101", "The 101 has no Content-Length", "content-length"),
        row(
            "no-transfer-encoding-in-101",
            "The 101 has no Transfer-Encoding",
            "transfer-encoding",
            rule="RFC 9112 §6.1",
        ),
        row(
            "no-extension-unasked",
            "The 101 names no extension if none was offered",
            "sec-websocket-extensions",
            rule=ANSWER,
        ),
        row(
            "no-subprotocol-unasked",
            "The 101 names no subprotocol if none was offered",
            "sec-websocket-protocol",
            rule=ANSWER,
        ),
    ],
)
async def absent_in_answer(lab: Lab, name: str) -> None:
    request = lab.request()
    head = (await lab.join(request)).client.head
    # Where the token is a subprotocol, its mark is offered together with it, and may be selected.
    may_be = (
        {lab.setup.offers.get("token_subprotocol")} if b"\r\nSec-WebSocket-Protocol: " in request else set()
    )
    is_mark = name == "sec-websocket-protocol" and head.get(name) in may_be
    true(f"no {name} in the 101", name not in dict(head.fields) or is_mark, head.get(name))


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §4.1",
    rows=[
        row("backend-method", "The backend gets GET and HTTP/1.1", "method"),
        row("backend-host", "The backend gets exactly one Host", "host", rule="RFC 9112 §3.2"),
        row("backend-upgrade", "The backend gets `Upgrade: websocket`", "upgrade"),
        row("backend-connection", "The backend gets `Connection: Upgrade`", "connection"),
        row("backend-key", "The backend gets one key, 16 bytes in base64", "key"),
        row("backend-version", "The backend gets `Sec-WebSocket-Version: 13` once", "version"),
    ],
)
async def backend_handshake(lab: Lab, part: str) -> None:
    _, studio = await lab.knock()
    head = studio.head
    if part == "method":
        first = head.first_line.split(" ")
        equal("the method and the version", (first[0], first[-1]), ("GET", "HTTP/1.1"))
    elif part == "host":
        hosts = [value for name, value in head.fields if name == "host"]
        true("one Host with a value", len(hosts) == 1 and hosts[0], repr(hosts))
    elif part == "upgrade":
        equal("Upgrade in lower case", head.get("upgrade").lower(), "websocket")
    elif part == "connection":
        tokens = [token.strip().lower() for token in head.get("connection").split(",")]
        true("`upgrade` in Connection", "upgrade" in tokens, head.get("connection"))
    elif part == "version":
        equal("Sec-WebSocket-Version", head.get("sec-websocket-version"), "13")
    else:
        key = head.get("sec-websocket-key")
        try:
            size = len(base64.b64decode(key, validate=True))
        except binascii.Error:
            size = -1
        true("a key of 16 bytes in base64", size == 16, key)


@GROUP.test(
    "backend-key-fresh",
    "Two connections to the backend have two keys",
    level=MUST,
    rule="RFC 6455 §4.1 (the nonce is selected randomly for each connection)",
)
async def backend_key_fresh(lab: Lab) -> None:
    seen = set()
    for nonce in (b"the first nonce!", b"a second nonce!!"):  # a gateway may pass on the client's key
        key = base64.b64encode(nonce).decode()
        _, studio = await lab.knock(lab.request(f"Sec-WebSocket-Key: {key}", without=["sec-websocket-key"]))
        seen.add(studio.head.get("sec-websocket-key"))
    equal("the number of keys", len(seen), 2)
