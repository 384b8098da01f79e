"""What of the client's request reaches the backend, byte by byte, and what must not."""

from __future__ import annotations

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, MUST, SHOULD, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.pair import accept
from memmie_harness.conformance.peers import Head

GROUP = Group("forwarding", "Query and header fields")

QUERY = "spec §3 (the bytes of the client's query do not change)"
HOP_BY_HOP = "RFC 9110 §7.6.1"


def query_of(head: Head) -> str:
    """Return the query of a request."""
    return head.target.partition("?")[2]


def values(head: Head, name: str) -> list[str]:
    """Return the values of a field, one for each line."""
    return [value for key, value in head.fields if key == name.lower()]


@GROUP.table(
    level=FEATURE,
    rule=QUERY,
    needs=["forwards_query"],
    rows=[
        row("query", "A query arrives", "a=1&b=2"),
        row("query-order", "The fields of a query keep their order", "z=1&a=2&m=3&a=1"),
        row("query-repeated", "A field that is there twice arrives twice", "a=1&a=1&a=2"),
        row("query-encoded", "Percent-encoded bytes stay encoded", "a=%41%2f%3F%26%20%C3%A9"),
        row("query-lower-case-hex", "Percent-encoding keeps the case of its digits", "a=%c3%a9&b=%C3%A9"),
        row("query-not-encoded-twice", "A percent sign that is encoded is not encoded again", "a=100%25"),
        row("query-plus", "A plus sign stays a plus sign", "a=one+two"),
        row(
            "query-signature",
            "A signature in base64 arrives unchanged",
            "X-Amz-Signature=ab%2Fcd%2B%3D&exp=17",
        ),
        row("query-without-value", "A field without a value arrives without one", "flag&a=1"),
        row("query-empty-value", "A field with an empty value keeps its equals sign", "a=&b=1"),
        row("query-two-equals", "A value with equals signs arrives unchanged", "a=b=c=="),
        row("query-empty-fields", "Empty fields between separators stay", "a=1&&b=2"),
        row("query-semicolon", "A semicolon stays", "a=1;b=2"),
        row("query-question-mark", "A question mark in a query stays", "a=1?b=2"),
        row("query-path-like", "Dots and slashes in a query stay", "path=../a/./b//c"),
        row("query-brackets", "Brackets and other unencoded characters stay", "a[]=1&b[x]=2&c='(!*)'"),
        row("query-bad-encoding", "An invalid percent-encoding stays as it is", "a=%zz&b=%4"),
        row("query-long", "A query of 4,000 bytes arrives complete", "a=" + "x" * 4000, level=FEATURE),
    ],
)
async def query(lab: Lab, query: str) -> None:
    _, studio = await lab.knock(lab.request(query=query))
    seen = query_of(studio.head)
    # The gateway may add fields of its own in front of the client's or behind them.
    found = (
        seen == query or seen.startswith(query + "&") or seen.endswith("&" + query) or f"&{query}&" in seen
    )
    true(f'a query that contains "{query}" as a whole', found, seen)


@GROUP.table(
    level=FEATURE,
    rule="spec §3, headers",
    needs=["forwards_headers"],
    rows=[
        row("header", "A field of the client arrives", "X-Custom: value", ["value"]),
        row(
            "header-twice",
            "Two fields with the same name arrive in order",
            "X-Custom: one\r\nX-Custom: two",
            ["one", "two"],
        ),
        row("header-blanks-inside", "Blanks inside a value stay", "X-Custom: a  b\tc", ["a  b\tc"]),
        row(
            "header-quotes",
            "Quotes, commas and semicolons in a value stay",
            'X-Custom: "a, b"; c="d;e"',
            ['"a, b"; c="d;e"'],
        ),
        row(
            "header-long", "A value of 4,000 bytes arrives complete", "X-Custom: " + "v" * 4000, ["v" * 4000]
        ),
        row("header-empty", "A field with an empty value arrives", "X-Custom:", [""]),
    ],
)
async def header(lab: Lab, lines: str, expected: list[str]) -> None:
    _, studio = await lab.knock(lab.request(lines))
    seen = values(studio.head, "x-custom")
    if len(expected) > 1:  # one list in one field is the same (RFC 9110 §5.3)
        seen = [part.strip() for value in seen for part in value.split(",")]
    equal("X-Custom", seen, expected)


@GROUP.table(
    level=FEATURE,
    rule="spec §3, headers",
    needs=["forwards_headers"],
    rows=[
        row("cookie", "Cookies arrive unchanged", "Cookie", "a=1; b=2; c=%41"),
        row("user-agent", "User-Agent arrives unchanged", "User-Agent", "test/1.0 (a; b)"),
        row("accept-language", "Accept-Language arrives unchanged", "Accept-Language", "de, en;q=0.5"),
    ],
)
async def usual_header(lab: Lab, name: str, value: str) -> None:
    _, studio = await lab.knock(lab.request(f"{name}: {value}"))
    equal(name, values(studio.head, name), [value])


@GROUP.table(
    level=MUST,
    rule=HOP_BY_HOP,
    rows=[
        row(
            "named-by-connection",
            "A field that Connection names does not arrive",
            "X-Hop: hop-987",
            "Upgrade, X-Hop",
        ),
        row(
            "named-in-other-case",
            "A field that Connection names in another case does not arrive",
            "X-Hop: hop-987",
            "Upgrade, x-hOP",
        ),
        row(
            "named-twice",
            "Every field that Connection names stays behind",
            "X-Hop: hop-987\r\nX-Other: hop-987",
            "X-Hop, Upgrade, X-Other",
        ),
        row("keep-alive", "Keep-Alive does not arrive", "Keep-Alive: timeout=hop-987", "keep-alive, Upgrade"),
        row(
            "proxy-authorization",
            "Proxy-Authorization that Connection names does not arrive",
            "Proxy-Authorization: hop-987",
            "Upgrade, Proxy-Authorization",
        ),
        row(
            "te",
            "TE that Connection names does not arrive",
            "TE: hop-987",
            "Upgrade, TE",
        ),
        row(
            "proxy-connection",
            "Proxy-Connection does not arrive",
            "Proxy-Connection: hop-987",
            "Upgrade",
            level=SHOULD,
        ),
    ],
)
async def hop_by_hop(lab: Lab, lines: str, connection: str) -> None:
    _, studio = await lab.knock(lab.request(lines, f"Connection: {connection}", without=["connection"]))
    left = [f"{name}: {value}" for name, value in studio.head.fields if "hop-987" in value]
    equal("what is left of the fields for one connection", left, [])


@GROUP.test(
    "connection-cannot-remove-identity",
    "Naming them in Connection does not remove the fields of the gateway itself",
    level=FEATURE,
    rule="spec §3, headers",
    needs=["user_header"],
)
async def connection_cannot_remove(lab: Lab) -> None:
    name = lab.setup.text("user_header")
    request = lab.request(f"Connection: Upgrade, {name}, X-Forwarded-For", without=["connection"])
    client = await lab.dial()
    client.write(request)
    answer, studio = await lab.answer_or_arrival(client)
    if studio is None:
        true(
            "an answer 4xx, or a connection to a Studio",
            isinstance(answer, Head) and 400 <= answer.status < 500,
            repr(answer),
        )
        return
    equal(name, values(studio.head, name), [lab.user])


@GROUP.table(
    level=FEATURE,
    rule="spec §1, tokens (subprotocols)",
    needs=["forwards_subprotocols", "token_header"],
    rows=[
        row(
            "subprotocol",
            "The subprotocol that the backend selects is the client's",
            "chat, superchat",
            "superchat",
        ),
        row("subprotocol-first", "The first of two subprotocols can be selected", "chat, superchat", "chat"),
        row("subprotocol-one", "A single subprotocol can be selected", "chat.v2", "chat.v2"),
        row("subprotocol-none", "If the backend selects none, the client gets none", "chat, superchat", ""),
    ],
)
async def subprotocol(lab: Lab, offered: str, selected: str) -> None:
    client, studio = await lab.knock(lab.request(f"Sec-WebSocket-Protocol: {offered}"))
    parts = [part.strip() for part in studio.head.get("sec-websocket-protocol").split(",")]
    equal("the subprotocols that the backend gets", parts, offered.split(", "))
    accept(studio, *([f"Sec-WebSocket-Protocol: {selected}"] if selected else []))
    answer = await lab.accepted(client)
    equal("the subprotocol of the answer", answer.get("sec-websocket-protocol"), selected)


@GROUP.table(
    level=FEATURE,
    rule="spec §3 (extensions are negotiated end to end)",
    needs=["forwards_extensions"],
    rows=[
        row(
            "extension",
            "An extension that the backend accepts is the client's",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=10",
        ),
        row(
            "extension-unknown",
            "An extension that the gateway does not know passes",
            "x-unknown; a=1",
            "x-unknown; a=1",
        ),
        row("extension-none", "If the backend accepts none, the client gets none", "permessage-deflate", ""),
    ],
)
async def extension(lab: Lab, offered: str, accepted: str) -> None:
    client, studio = await lab.knock(lab.request(f"Sec-WebSocket-Extensions: {offered}"))
    equal("the offer that the backend gets", studio.head.get("sec-websocket-extensions"), offered)
    accept(studio, *([f"Sec-WebSocket-Extensions: {accepted}"] if accepted else []))
    answer = await lab.accepted(client)
    equal("the extension of the answer", answer.get("sec-websocket-extensions"), accepted)


@GROUP.test(
    "forwarded-for",
    "X-Forwarded-For has the address of the client",
    level=FEATURE,
    rule="spec §3, headers",
    needs=["forwarded_for"],
)
async def forwarded_for(lab: Lab) -> None:
    _, studio = await lab.knock()
    equal("X-Forwarded-For", values(studio.head, "x-forwarded-for"), ["127.0.0.1"])


@GROUP.table(
    level=FEATURE,
    rule="spec §3, forwarded headers",
    needs=["replaces_forwarded"],
    rows=[
        row(
            "spoofed-for",
            "X-Forwarded-For of a client that is not a proxy is not believed",
            "X-Forwarded-For: 6.6.6.6",
        ),
        row(
            "spoofed-for-twice",
            "Two X-Forwarded-For of a client are not believed",
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6",
        ),
        row(
            "spoofed-for-lower-case",
            "x-forwarded-for in lower case is not believed",
            "x-forwarded-for: 6.6.6.6",
        ),
        row("spoofed-real-ip", "X-Real-IP of a client is not believed", "X-Real-IP: 6.6.6.6"),
        row("spoofed-proto", "X-Forwarded-Proto of a client is not believed", "X-Forwarded-Proto: 6.6.6.6"),
        row("spoofed-host", "X-Forwarded-Host of a client is not believed", "X-Forwarded-Host: 6.6.6.6"),
        row("spoofed-port", "X-Forwarded-Port of a client is not believed", "X-Forwarded-Port: 6.6.6.6"),
        row(
            "spoofed-prefix", "X-Forwarded-Prefix of a client is not believed", "X-Forwarded-Prefix: /6.6.6.6"
        ),
        row(
            "spoofed-forwarded",
            "Forwarded of a client is not believed",
            "Forwarded: for=6.6.6.6",
            rule="RFC 7239 §8.1",
        ),
        row(
            "spoofed-underscore",
            "X_Forwarded_For with underscores is not believed",
            "X_Forwarded_For: 6.6.6.6",
        ),
        row("spoofed-original-url", "X-Original-URL of a client does not arrive", "X-Original-URL: /6.6.6.6"),
    ],
)
async def spoofed(lab: Lab, lines: str) -> None:
    _, studio = await lab.knock(lab.request(lines))
    left = [f"{name}: {value}" for name, value in studio.head.fields if "6.6.6.6" in value]
    equal("what is left of the invented address", left, [])


@GROUP.test(
    "request-id",
    "The backend gets a request id, and another one for another connection",
    level=FEATURE,
    rule="spec §3, headers",
    needs=["request_id"],
)
async def request_id(lab: Lab) -> None:
    ids = [(await lab.knock())[1].head.get("x-request-id") for _ in range(2)]
    true("two different ids", all(ids) and ids[0] != ids[1], repr(ids))


@GROUP.test(
    "request-id-passes",
    "A valid request id of the client reaches the backend",
    level=FEATURE,
    rule="spec §3, headers",
    needs=["request_id", "keeps_request_id"],
)
async def request_id_passes(lab: Lab) -> None:
    _, studio = await lab.knock(lab.request("X-Request-ID: the-client-s-own-1"))
    equal("X-Request-ID", values(studio.head, "x-request-id"), ["the-client-s-own-1"])


@GROUP.table(
    level=FEATURE,
    rule="spec §3, headers",
    needs=["request_id"],
    rows=[
        row("request-id-with-blank", "A request id with a blank inside is replaced", "one two"),
        row("request-id-too-long", "A request id of 1,000 characters is replaced", "x" * 1000),
    ],
)
async def request_id_checked(lab: Lab, given: str) -> None:
    _, studio = await lab.knock(lab.request(f"X-Request-ID: {given}"))
    ids = values(studio.head, "x-request-id")
    true("one other id", len(ids) == 1 and ids[0] and ids[0] != given, repr(ids))
