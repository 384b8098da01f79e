"""HTTP beside WebSocket: which requests are forwarded, where to, and for whom."""

from __future__ import annotations

import json
from typing import Final

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, MUST, Group, row
from memmie_harness.conformance.http_client import answer, exchange, request, target
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.peers import Head
from memmie_harness.conformance.peers.auth import status
from memmie_harness.conformance.peers.body import Body
from memmie_harness.conformance.peers.studio import contains

GROUP = Group("http", "HTTP beside WebSocket", needs=("auth", "token_header", "http_path"))

RULE: Final = "spec §3, HTTP"


@GROUP.test(
    "get", "A request with a token reaches the backend, and the answer the client", level=FEATURE, rule=RULE
)
async def get(lab: Lab) -> None:
    raw = request(lab, "/v1/things/7?sort=name", "Accept: text/x-thing", "X-Twice: 1", "X-Twice: 2")
    sent, seen = await exchange(
        lab, raw, 200, b"\x00 a body \xff", "Content-Type: text/x-thing", "Set-Cookie: a=1", "Set-Cookie: b=2"
    )
    equal("the request line", sent.first_line, f"GET {target(lab, '/v1/things/7?sort=name')} HTTP/1.1")
    equal("Accept", sent.get("accept"), "text/x-thing")
    equal("X-Twice", sent.get("x-twice"), "1, 2")
    equal("the type", seen.get("content-type"), "text/x-thing")
    equal("the cookies", [value for name, value in seen.fields if name == "set-cookie"], ["a=1", "b=2"])
    equal("the body", seen.body, b"\x00 a body \xff")


@GROUP.test("methods", "The methods of REST reach the backend, with their bodies", level=FEATURE, rule=RULE)
async def methods(lab: Lab) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        body = b"" if method == "OPTIONS" else f"for {method}".encode()
        client, studio = await lab.knock(request(lab, method=method, body=body))
        equal("the method", studio.head.first_line.partition(" ")[0], method)
        equal("the body", await Body(studio, studio.head).rest(), body)
        answer(studio, 200, b"done")
        equal("the body of the answer", (await client.answer()).body, b"done")


@GROUP.test(
    "head",
    "The answer to HEAD has the length of the backend's, and no body",
    level=MUST,
    rule="RFC 9110 §9.3.2",
)
async def head(lab: Lab) -> None:
    client, studio = await lab.knock(request(lab, method="HEAD"))
    equal("the method", studio.head.first_line.partition(" ")[0], "HEAD")
    studio.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n")
    equal("the length", (await client.answer_head()).get("content-length"), "1000")
    equal("what comes behind the head", await client.expect_end(), b"")


@GROUP.test(
    "statuses",
    "Errors of the backend reach the client as they are, and redirections are not followed",
    level=FEATURE,
    rule=RULE,
)
async def statuses(lab: Lab) -> None:
    for code, body in ((201, b"made"), (302, b""), (404, b"no"), (409, b"conflict"), (500, b"broken")):
        where = f"http://gateway.test{target(lab, '/elsewhere')}"
        _, seen = await exchange(lab, request(lab), code, body, f"Location: {where}")
        equal("the body", seen.body, body)
        equal("Location", seen.get("location"), where)
    lab.no_arrival()


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    rows=[
        row("no-token", "A request without a token gets 401 with a challenge", None, 401),
        row("bad-token", "A request with an invalid token gets 401 with a challenge", 401, 401),
        row("auth-away", "A request whose token Auth cannot judge gets 503", 500, 503),
    ],
)
async def refused(lab: Lab, says: int | None, expected: int) -> None:
    token = lab.secret(f"secret-{lab.marker}-token") if says is not None else ""
    if says is not None:
        lab.stack.auth.answer(token, status(says))
    seen = await lab.refused(request(lab, token=token), expected)
    if expected == 401:  # RFC 9110 §11.6.1
        true("a challenge in WWW-Authenticate", seen.get("www-authenticate"), seen.raw)


@GROUP.test(
    "not-below",
    "A path that only begins with the same letters, and any other path, is not forwarded",
    level=FEATURE,
    rule=RULE,
)
async def not_below(lab: Lab) -> None:
    for path in (target(lab, "x/thing"), target(lab, "%2fthing"), "/elsewhere/thing", "/"):
        await lab.refused(request(lab, whole=path), 404)


@GROUP.test(
    "auth-route",
    "Auth is reached without a token, and learns of no user that a client invents",
    level=FEATURE,
    rule=RULE,
    needs=["http_auth_path"],
)
async def auth_route(lab: Lab) -> None:
    body = json.dumps(
        {"email": f"{lab.marker}@example.test", "password": "long enough 1", "username": lab.marker}
    ).encode()
    whole = lab.setup.text("http_auth_path").rstrip("/") + "/register?from=page&user_id=evil"
    fields = ("X-User-ID: evil", "Content-Type: application/json")
    _, seen = await lab.ask(request(lab, "", *fields, method="POST", token="", body=body, whole=whole))
    equal("the status of a registration", seen.status, 201)
    sent = _at_auth(lab)
    equal("the number of requests", len(sent), 1)
    equal("the request line", sent[0].first_line, "POST /api/v1/auth/register?from=page HTTP/1.1")
    equal("the body", sent[0].body, body)
    equal("X-User-ID", sent[0].get("x-user-id"), "")
    lab.no_arrival()


def _at_auth(lab: Lab) -> list[Head]:
    """Return the requests of this test that have reached Auth."""
    return [each for each in lab.stack.auth.others if contains(each, lab.marker)]


@GROUP.test(
    "auth-validate",
    "The question that the gateway asks Auth cannot be asked by a client, in any spelling",
    level=FEATURE,
    rule=RULE,
    needs=["http_auth_path"],
)
async def auth_validate(lab: Lab) -> None:
    token = lab.secret(f"asked-by-client-{lab.marker}")
    for spelling in ("validate", "validate/", "%76alidate", "%2576alidate", "validate;a=1", "Validate"):
        whole = f"{lab.setup.text('http_auth_path').rstrip('/')}/{spelling}"
        await lab.refused(request(lab, method="POST", token=token, body=b"{}", whole=whole), 400, 404)
    equal("how often Auth was asked", lab.stack.auth.questions[token] + len(_at_auth(lab)), 0)


@GROUP.test(
    "upgrade",
    "A request for an upgrade gets 426, and is not forwarded",
    level=FEATURE,
    rule=RULE,
)
async def upgrade(lab: Lab) -> None:
    await lab.refused(lab.request(target=target(lab, "/v1/socket")), 426)
    h2c = ("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    await lab.refused(request(lab, "/thing", *h2c, connection="Upgrade, HTTP2-Settings"), 426)


@GROUP.test(
    "method-refused",
    "TRACE gets 405 with the methods that are allowed, and is not forwarded",
    level=MUST,
    rule="RFC 9110 §15.5.6",
)
async def method_refused(lab: Lab) -> None:
    seen = await lab.refused(request(lab, method="TRACE"), 405)
    true(
        "GET and POST in Allow",
        {"GET", "POST"} <= set(seen.get("allow").replace(" ", "").split(",")),
        seen.raw,
    )


@GROUP.test(
    "same-backend",
    "Requests and WebSockets of a user reach the same backend",
    level=FEATURE,
    rule=RULE,
    needs=["sticky", "studios"],
)
async def same_backend(lab: Lab) -> None:
    for number in range(4):
        token = lab.mint(f"{lab.user}-{number}")
        seen = set()
        for _ in range(2):
            client, studio = await lab.knock(request(lab, token=token))
            answer(studio, 200)
            await client.answer()
            seen.add(studio.name)
        seen.add((await lab.join(lab.request(token=token))).studio.name)
        equal(f"the number of backends of user {number}", len(seen), 1)
