"""HTTP beside WebSocket: what is kept, set and removed of the heads of requests and answers."""

from __future__ import annotations

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, MUST, row
from memmie_harness.conformance.http_client import answer, exchange, request, target
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.tests.http_routes import GROUP, RULE
from memmie_harness.conformance.tests.hygiene import HYGIENE, leaks


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    rows=[
        row("path-bytes", "The bytes of the path stay as they are", "/a%2Fb%20c;v=1/~%7E!$'()*+,=:@%c3%Bc/"),
        row(
            "query-bytes", "The bytes of the query stay as they are", "/a?q=%7e&&b=c+d%2B;e&f=%zz&sig=x/y==&?"
        ),
        row("query-empty", "An empty query keeps its question mark", "/a?"),
    ],
)
async def bytes_kept(lab: Lab, path: str) -> None:
    sent, _ = await exchange(lab, request(lab, path))
    equal("the target", sent.target, target(lab, path))


@GROUP.table(
    level=FEATURE,
    rule=f"{RULE} (no RFC forbids to forward such a path, but it can lead out of its route)",
    rows=[
        row("dots", "A path with dot segments gets 400", "/../admin", "/a/../../admin", "/./a", "/a/..;x/b"),
        row(
            "dots-encoded",
            "A path with encoded dot segments gets 400, also if they are encoded twice",
            *("/%2e%2e/admin", "/.%2E/admin", "/%2e/a", "/%252e%252e/admin"),
        ),
        row(
            "slashes",
            "A path with an empty segment or a backslash gets 400, also if it is encoded",
            *("//a", "/a//b", "/..\\admin", "/a%5c..%5cb", "/%2f/a"),
        ),
    ],
)
async def traversal(lab: Lab, *paths: str) -> None:
    for path in paths:
        await lab.refused(request(lab, path), 400)


@GROUP.table(
    level=FEATURE,
    rule="RFC 9112 §6.3, spec §3, HTTP",
    rows=[
        row("two-lengths", "Two lengths get 400", "Content-Length: 5", "Content-Length: 6", level=MUST),
        row(
            "length-and-chunks",
            "A length beside chunks gets 400",
            *("Content-Length: 5", "Transfer-Encoding: chunked"),
        ),
        row(
            "other-coding",
            "A transfer coding that is not chunked gets 400 or 501",
            "Transfer-Encoding: chunked, identity",
        ),
    ],
)
async def framing(lab: Lab, *lines: str) -> None:
    raw = request(lab, "/thing", *lines, method="POST")
    await lab.refused(raw + b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n", 400, 501)


@GROUP.test(
    "user",
    "The backend learns the user of the token, and nothing that a client says about it",
    level=FEATURE,
    rule=RULE,
    needs=["user_header"],
)
async def user(lab: Lab) -> None:
    name = lab.setup.text("user_header")
    lines = [f"{spelling}: evil" for spelling in (name, name.lower(), name.replace("-", "_"))]
    sent, _ = await exchange(lab, request(lab, "/thing", *lines))
    equal(name, sent.get(name.lower()), lab.user)
    equal("other fields with that name", [each for each in sent.fields if each[1] == "evil"], [])


@GROUP.test(
    "forwarded",
    "What a client says about its own address and host does not reach the backend",
    level=FEATURE,
    rule=RULE,
    needs=["replaces_forwarded"],
)
async def forwarded(lab: Lab) -> None:
    names = (
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-User",
        "X-Real-IP",
        "Forwarded",
    )
    sent, _ = await exchange(lab, request(lab, "/thing", *(f"{name}: 203.0.113.9" for name in names)))
    equal("the fields with it", [name for name, value in sent.fields if "203.0.113.9" in value], [])
    if lab.setup.offers.get("forwarded_for"):
        equal("X-Forwarded-For", sent.get("x-forwarded-for"), "127.0.0.1")


@GROUP.test(
    "request-id",
    "The id of a request is the gateway's own, and the backend and the client get the same",
    level=FEATURE,
    rule=RULE,
    needs=["request_id", "replaces_forwarded"],
)
async def request_id(lab: Lab) -> None:
    sent, seen = await exchange(
        lab, request(lab, "/thing", "X-Request-ID: of-the-client"), 200, b"", "X-Request-ID: of-the-backend"
    )
    own = sent.get("x-request-id")
    true("an id of the gateway", own and "of-the-client" not in own, sent.raw)
    equal("the id in the answer", seen.get("x-request-id"), own)


@GROUP.test(
    "token-hidden",
    "The token does not reach the backend, wherever it is in the request",
    level=FEATURE,
    rule=HYGIENE,
    needs=["hides_token", "hides_copies", "token_query"],
)
async def token_hidden(lab: Lab) -> None:
    token, field = lab.token, lab.setup.text("token_query")
    lines = (f"Cookie: a=1; session={token}; b=2", f"X-Auth-Token: {token}")
    sent, _ = await exchange(lab, request(lab, f"/thing?x=1&{field}={token}&y={token}&z=2", *lines))
    equal("the places with the token", leaks(sent, token), [])
    equal("the target", sent.target, target(lab, "/thing?x=1&z=2"))
    equal("the other cookies", sent.get("cookie").replace(" ", ""), "a=1;b=2")
    sent, _ = await exchange(lab, request(lab, f"/thing?{field}={token}", token=""))
    equal("the target", sent.target, target(lab, "/thing"))


@GROUP.test(
    "user-fields",
    "Fields of the query that a server may read as `user_id` are removed, and no others",
    level=FEATURE,
    rule=RULE,
    needs=["user_query"],
)
async def user_fields(lab: Lab) -> None:
    for name in ("user_id", "USER_ID", "user%5Fid", "user%255fid", "user_id%5B%5D", "user.id", "+user_id"):
        sent, _ = await exchange(lab, request(lab, f"/thing?a=1&{name}=evil&user_idea=2&b=user_id"))
        equal("the target", sent.target, target(lab, "/thing?a=1&user_idea=2&b=user_id"))


@GROUP.test(
    "hop-by-hop-up",
    "Fields for one connection only do not reach the backend",
    level=MUST,
    rule="RFC 9110 §7.6.1",
)
async def hop_by_hop_up(lab: Lab) -> None:
    lines = ("X-Named: 1", "Keep-Alive: timeout=5", "TE: trailers", "Proxy-Connection: close", "X-Kept: 2")
    sent, _ = await exchange(lab, request(lab, "/thing", *lines, connection="close, X-nAmed, te"))
    for name in ("x-named", "keep-alive", "te", "proxy-connection"):
        equal(name, sent.get(name), "")
    equal("X-Kept", sent.get("x-kept"), "2")


@GROUP.test(
    "hop-by-hop-down",
    "Fields for one connection only do not reach the client",
    level=MUST,
    rule="RFC 9110 §7.6.1",
)
async def hop_by_hop_down(lab: Lab) -> None:
    lines = (
        "Connection: X-nAmed",
        "X-Named: 1",
        "Keep-Alive: timeout=98",
        "Proxy-Connection: close",
        "X-Kept: 2",
    )
    _, seen = await exchange(lab, request(lab), 200, b"ok", *lines)
    for name in ("x-named", "proxy-connection"):
        equal(name, seen.get(name), "")
    true("no Keep-Alive of the backend", "98" not in seen.get("keep-alive"), seen.raw)
    equal("X-Kept", seen.get("x-kept"), "2")


@GROUP.test("encoded-body", "A compressed answer stays as it is", level=FEATURE, rule=RULE)
async def encoded_body(lab: Lab) -> None:
    client, studio = await lab.knock(request(lab, "/thing", "Accept-Encoding: gzip"))
    equal("Accept-Encoding", studio.head.get("accept-encoding"), "gzip")
    answer(studio, 200, b"\x1f\x8b not really", "Content-Encoding: gzip")
    seen = await client.answer()
    equal("Content-Encoding", seen.get("content-encoding"), "gzip")
    equal("the body", seen.body, b"\x1f\x8b not really")
