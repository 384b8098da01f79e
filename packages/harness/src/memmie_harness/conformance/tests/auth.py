"""Tokens: where they are found, what Auth says about them, and that they appear nowhere else."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import quote

from memmie_harness.conformance.group import FEATURE, Group, row
from memmie_harness.conformance.lab import Lab, equal, true
from memmie_harness.conformance.peers import TEXT, Head
from memmie_harness.conformance.peers.auth import Answer, hang_up, never, raw, status, valid
from memmie_harness.conformance.peers.heads import upgrade_request
from memmie_harness.conformance.transcript import escape

GROUP = Group("auth", "Tokens and Auth", needs=("auth",))

TOKENS = "spec §1, tokens"
ANSWERS = "spec §2"
HYGIENE = "spec §1 (a token is never sent to Studio, logged or used as a label)"


def handshake(lab: Lab, *lines: str, target: str | None = None) -> bytes:
    """Build a handshake without a token, but with the marker of the test."""
    return upgrade_request(None, target=target or lab.path, extra=[f"X-Conformance: {lab.marker}", *lines])


@GROUP.table(
    level=FEATURE,
    rule=TOKENS,
    needs=["token_header"],
    rows=[
        row("in-header", "A token in `Authorization: Bearer` is accepted", "Authorization: Bearer {}"),
        row("scheme-lower-case", "The scheme `bearer` may be in lower case", "Authorization: bearer {}"),
        row("scheme-upper-case", "The scheme `BEARER` may be in upper case", "Authorization: BEARER {}"),
        row("header-lower-case", "The name `authorization` may be in lower case", "authorization: Bearer {}"),
    ],
)
async def in_header(lab: Lab, line: str) -> None:
    pair = await lab.join(handshake(lab, line.format(lab.token)))
    await pair.exchange()


@GROUP.test("in-query", "A token in the query is accepted", level=FEATURE, rule=TOKENS, needs=["token_query"])
async def in_query(lab: Lab) -> None:
    pair = await lab.join(handshake(lab, target=f"{lab.path}?{lab.setup.text('token_query')}={lab.token}"))
    await pair.exchange()


@GROUP.test(
    "in-subprotocol",
    "A token behind its subprotocol is accepted, and is not selected",
    level=FEATURE,
    rule=TOKENS,
    needs=["token_subprotocol"],
)
async def in_subprotocol(lab: Lab) -> None:
    mark = lab.setup.text("token_subprotocol")
    pair = await lab.join(handshake(lab, f"Sec-WebSocket-Protocol: {mark}, {lab.token}"))
    equal("the subprotocol of the answer", pair.client.head.get("sec-websocket-protocol"), mark)
    await pair.exchange()


@GROUP.test(
    "in-subprotocol-with-others",
    "Other subprotocols beside the token are negotiated with the backend",
    level=FEATURE,
    rule=TOKENS,
    needs=["token_subprotocol", "forwards_subprotocols"],
)
async def in_subprotocol_with_others(lab: Lab) -> None:
    mark = lab.setup.text("token_subprotocol")
    request = handshake(lab, f"Sec-WebSocket-Protocol: {mark}, {lab.token}, chat")
    pair = await lab.join(request, "Sec-WebSocket-Protocol: chat")
    equal("the subprotocols that the backend gets", pair.studio.head.get("sec-websocket-protocol"), "chat")
    equal("the subprotocol of the answer", pair.client.head.get("sec-websocket-protocol"), "chat")


@GROUP.table(
    level=FEATURE,
    rule=TOKENS,
    rows=[
        row("none", "A handshake without a token gets 401", None),
        row("unknown", "An unknown token gets 401", "unknown"),
        row("changed", "A token with a changed signature gets 401", "changed"),
        row("cut", "A token without its last character gets 401", "cut"),
        row("expired", "An expired token gets 401", "expired"),
        row("revoked", "A revoked token gets 401", "revoked"),
    ],
)
async def refused(lab: Lab, kind: str | None) -> None:
    token = lab.token
    if kind is None:
        token = ""
    elif kind == "unknown":
        token = lab.secret(f"unknown-{lab.marker}")
    elif kind == "changed":
        token = lab.secret(token[:-8] + ("AAAAAAAA" if token[-8:] != "AAAAAAAA" else "BBBBBBBB"))
    elif kind == "cut":
        token = lab.secret(token[:-1])
    else:
        token = lab.secret(
            lab.stack.auth.behind.mint(lab.user, kind="expired" if kind == "expired" else "revoked")
        )
    await lab.refused(lab.request(token=token), 401)


@GROUP.table(
    level=FEATURE,
    rule=TOKENS,
    needs=["token_header"],
    rows=[
        row("empty-bearer", "`Authorization: Bearer` without a token is refused", "Authorization: Bearer "),
        row("other-scheme", "Another scheme than Bearer is not a token", "Authorization: Basic {}"),
        row(
            "token-and-more", "A token with more words behind it is refused", "Authorization: Bearer {} more"
        ),
        row("without-scheme", "A token without a scheme is refused", "Authorization: {}"),
    ],
)
async def not_a_token(lab: Lab, line: str) -> None:
    # A gateway that leaves this to Auth may answer 5xx.
    await lab.refused(handshake(lab, line.format(lab.token)), *range(400, 600))


@GROUP.test(
    "two-tokens",
    "Of two Authorization fields with tokens of two users, none is let in as the other",
    level=FEATURE,
    rule=TOKENS,
    needs=["token_header", "user_header"],
)
async def two_tokens(lab: Lab) -> None:
    other = lab.mint(f"other-{lab.marker}")
    client = await lab.dial()
    client.write(handshake(lab, f"Authorization: Bearer {lab.token}", f"Authorization: Bearer {other}"))
    answer, studio = await lab.answer_or_arrival(client)
    if studio is None:
        true("an answer 4xx", isinstance(answer, Head) and 400 <= answer.status < 500, repr(answer))
        return
    equal("the user", studio.head.get(lab.setup.text("user_header").lower()), lab.user)


@GROUP.table(
    level=FEATURE,
    rule=ANSWERS,
    rows=[
        row("says-401", "If Auth answers 401, the client gets 401", status(401), (401,)),
        row("says-500", "If Auth answers 500, the client gets 5xx", status(500), (500, 502, 503, 504)),
        row("says-503", "If Auth answers 503, the client gets 5xx", status(503), (500, 502, 503, 504)),
        row("says-404", "If Auth answers 404, nobody is let in", status(404), (401, 403, 500, 502, 503, 504)),
        row(
            "says-redirect",
            "If Auth answers 302, nobody is let in",
            status(302),
            (401, 403, 500, 502, 503, 504),
        ),
        row(
            "says-garbage",
            "If Auth does not answer in HTTP, the client gets 5xx",
            raw(b"\xff\x00garbage\r\n\r\n"),
            (500, 502, 503, 504),
        ),
        row("hangs-up", "If Auth resets the connection, the client gets 5xx", hang_up, (500, 502, 503, 504)),
    ],
)
async def auth_says(lab: Lab, answer: Answer, statuses: tuple[int, ...]) -> None:
    lab.stack.auth.answer(lab.token, answer)
    await lab.refused(lab.request(), *statuses)


@GROUP.table(
    level=FEATURE,
    rule=ANSWERS,
    needs=["auth_body"],
    rows=[
        row(
            "says-half",
            "If Auth closes inside its answer, the client gets 5xx",
            raw(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"valid": true'),
            (500, 502, 503, 504),
        ),
        row(
            "says-not-valid",
            'If Auth answers `"valid": false`, the client gets 401',
            status(200, b'{"valid": false}'),
            (401,),
        ),
        row(
            "says-no-json",
            "If Auth answers 200 without JSON, nobody is let in",
            status(200, b"<html>"),
            (401, 403, 500, 502, 503, 504),
        ),
        row(
            "says-nothing",
            "If Auth answers 200 with an empty body, nobody is let in",
            status(200, b""),
            (401, 403, 500, 502, 503, 504),
        ),
        row(
            "says-empty-object",
            "If Auth answers an empty object, nobody is let in",
            status(200, b"{}"),
            (401, 403, 500, 502, 503, 504),
        ),
        row(
            "says-list",
            "If Auth answers a list, nobody is let in",
            status(200, b"[true]"),
            (401, 403, 500, 502, 503, 504),
        ),
        row(
            "says-valid-text",
            'If `valid` is the text "true", nobody is let in',
            status(200, b'{"valid": "true", "user_id": "u"}'),
            (401, 403, 500, 502, 503, 504),
        ),
        row(
            "says-no-user",
            "If a valid token has no user, nobody is let in",
            status(200, b'{"valid": true}'),
            (401, 403, 500, 502, 503, 504),
        ),
        row(
            "says-empty-user",
            "If the user is empty, nobody is let in",
            valid(""),
            (401, 403, 500, 502, 503, 504),
        ),
        row(
            "says-number",
            "If the user is a number, nobody is let in",
            valid(17),
            (401, 403, 500, 502, 503, 504),
        ),
        row(
            "says-line-end",
            "If the user has a line end, nobody is let in",
            valid("a\r\nX-Admin: 1"),
            (401, 403, 500, 502, 503, 504),
        ),
        row(
            "says-nul",
            "If the user has a NUL, nobody is let in",
            valid("a\0b"),
            (401, 403, 500, 502, 503, 504),
        ),
    ],
)
async def auth_says_in_body(lab: Lab, answer: Answer, statuses: tuple[int, ...]) -> None:
    await auth_says(lab, answer, statuses)


@GROUP.test(
    "silent",
    "If Auth does not answer, the client gets 5xx in the end, and others are let in meanwhile",
    level=FEATURE,
    rule=ANSWERS,
    seconds=40,
)
async def silent(lab: Lab) -> None:
    lab.stack.auth.answer(lab.token, never)
    client = await lab.dial()
    client.write(lab.request())
    pair = await lab.join(lab.request(token=lab.mint(f"other-{lab.marker}")))
    await pair.exchange()
    client.patience = 20
    answer = await client.answer()
    true("an answer 5xx", 500 <= answer.status < 600, answer.first_line)


@GROUP.test(
    "poisoned-token",
    "A token on which Auth fails harms nobody else",
    level=FEATURE,
    rule="spec §2, whose failures count",
)
async def poisoned(lab: Lab) -> None:
    poison = lab.mint(f"poison-{lab.marker}")
    lab.stack.auth.answer(poison, status(500))
    for _ in range(12):
        await lab.refused(lab.request(token=poison), 500, 502, 503, 504)
    for number in range(3):
        pair = await lab.join(lab.request(token=lab.mint(f"good-{lab.marker}-{number}")))
        await pair.exchange()


@GROUP.test(
    "asked-before-backend", "No backend is asked before Auth has answered", level=FEATURE, rule=ANSWERS
)
async def asked_before_backend(lab: Lab) -> None:
    released = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await released.wait()
        await valid(lab.user)(writer)

    lab.stack.auth.answer(lab.token, late)
    client = await lab.dial()
    client.write(lab.request())
    await client.expect_silence()
    lab.no_arrival()
    released.set()
    pair = await lab.join(b"", client=client)
    await pair.exchange()


@GROUP.test(
    "cached",
    "Within the cache's time, Auth is asked once about a token",
    level=FEATURE,
    rule="spec §2 (the gateway remembers an answer)",
    needs=["auth_cache_seconds"],
)
async def cached(lab: Lab) -> None:
    for _ in range(4):
        pair = await lab.join()
        pair.client.leave()
    equal("how often Auth was asked", lab.stack.auth.questions[lab.token], 1)


@GROUP.test(
    "cached-refusal",
    "Within the cache's time, Auth is asked once about an invalid token",
    level=FEATURE,
    rule="spec §2 (the gateway remembers an answer)",
    needs=["refusal_cache_seconds"],
)
async def cached_refusal(lab: Lab) -> None:
    token = lab.secret(f"bad-{lab.marker}")
    await lab.refused(lab.request(token=token), 401)
    await lab.refused(lab.request(token=token), 401)
    equal("how often Auth was asked", lab.stack.auth.questions[token], 1)


@GROUP.test(
    "refusal-ends",
    "A refusal is not remembered for ever",
    level=FEATURE,
    rule="spec §2 (AUTH_REFUSAL_CACHE_SECONDS)",
    needs=["refusal_cache_seconds"],
    seconds=40,
)
async def refusal_ends(lab: Lab) -> None:
    lab.stack.auth.answer(lab.token, status(401))
    await lab.refused(lab.request(), 401)
    lab.stack.auth.answer(lab.token, None)
    await asyncio.sleep(lab.setup.number("refusal_cache_seconds") + 0.5)
    pair = await lab.join()
    await pair.exchange()


@GROUP.test(
    "failure-is-not-remembered-as-refusal",
    "After a failure of Auth, the token is good as soon as Auth says so",
    level=FEATURE,
    rule=ANSWERS,
    needs=["refusal_cache_seconds"],
    seconds=40,
)
async def failure_ends(lab: Lab) -> None:
    lab.stack.auth.answer(lab.token, status(500))
    await lab.refused(lab.request(), 500, 502, 503, 504)
    lab.stack.auth.answer(lab.token, None)
    await asyncio.sleep(lab.setup.number("refusal_cache_seconds") + 0.5)
    pair = await lab.join()
    await pair.exchange()


@GROUP.test(
    "asked-once-at-a-time",
    "Clients that come together with the same token cause one question",
    level=FEATURE,
    rule="spec §2",
    needs=["auth_cache_seconds"],
)
async def asked_once(lab: Lab) -> None:
    released = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await released.wait()
        await valid(lab.user)(writer)

    lab.stack.auth.answer(lab.token, late)
    clients = [await lab.dial() for _ in range(4)]
    for client in clients:
        client.write(lab.request())

    async def asked() -> int:
        return lab.stack.auth.questions[lab.token]

    await lab.until("a question to Auth", asked)
    await clients[0].expect_silence()
    released.set()
    for client in clients:
        await lab.knock(b"", client=client)
    equal("how often Auth was asked", lab.stack.auth.questions[lab.token], 1)


@GROUP.test(
    "too-long",
    "A token that is too long gets 401, and Auth is not asked",
    level=FEATURE,
    rule=TOKENS,
    needs=["token_bytes", "token_header"],
)
async def too_long(lab: Lab) -> None:
    token = lab.secret("t" * (int(lab.setup.number("token_bytes")) + 1))
    await lab.refused(lab.request(token=token), 401)
    equal("how often Auth was asked", lab.stack.auth.questions[token], 0)


@GROUP.test(
    "longest",
    "A token of the largest size reaches Auth",
    level=FEATURE,
    rule=TOKENS,
    needs=["token_bytes", "token_header"],
)
async def longest(lab: Lab) -> None:
    size = int(lab.setup.number("token_bytes"))
    token = lab.secret(f"{lab.marker}-{'t' * size}"[:size])
    lab.stack.auth.answer(token, valid(lab.user))
    pair = await lab.join(lab.request(token=token))
    await pair.exchange()


@GROUP.test(
    "expires",
    "A live connection is closed with 4401 when its token expires",
    level=FEATURE,
    rule="spec §2, the end of a token",
    needs=["closes_at_expiry"],
)
async def expires(lab: Lab) -> None:

    async def soon(writer: asyncio.StreamWriter) -> None:
        await valid(lab.user, expires=int(time.time()) + 3)(writer)

    lab.stack.auth.answer(lab.token, soon)
    pair = await lab.join()
    await pair.exchange()
    pair.client.patience += 4
    await pair.client.expect_close(4401)
    await pair.studio.closing_frame()


# A token appears nowhere but in the question to Auth.


def leaks(head: Head, token: str) -> list[str]:
    """Return the places of a request in which a token is, plain or percent-encoded."""
    parts = [head.first_line, *(f"{name}: {value}" for name, value in head.fields)]
    return [part for part in parts if token in part or quote(token, safe="") in part]


@GROUP.table(
    level=FEATURE,
    rule=HYGIENE,
    needs=["hides_token", "token_header"],
    rows=[
        row("hidden-header", "Authorization does not reach the backend", "{mark}"),
    ],
)
async def hidden(lab: Lab, where: str) -> None:
    text = where.format(token=lab.token, mark="X-Mark: 1")
    request = lab.request(query=text[1:]) if where[0] == "?" else lab.request(text)
    _, studio = await lab.knock(request)
    equal("the places with the token", leaks(studio.head, lab.token), [])


@GROUP.table(
    level=FEATURE,
    rule=HYGIENE,
    needs=["hides_copies", "token_header"],
    rows=[
        row(
            "hidden-cookie",
            "A cookie with the token does not reach the backend",
            "Cookie: a=1; session={token}; b=2",
        ),
        row(
            "hidden-header-copy",
            "Another field with the token does not reach the backend",
            "X-Auth-Token: {token}",
        ),
        row(
            "hidden-query-copy",
            "Another query field with the token does not reach the backend",
            "?copy={token}",
        ),
        row(
            "hidden-referer",
            "The query of Referer does not reach the backend",
            "Referer: http://app.test/?token={token}",
        ),
    ],
)
async def hidden_copy(lab: Lab, where: str) -> None:
    await hidden(lab, where)


@GROUP.table(
    level=FEATURE,
    rule=HYGIENE,
    needs=["hides_token", "token_query"],
    rows=[
        row("hidden-query", "The token in the query does not reach the backend", "a=1&{name}={token}&b=2"),
        row(
            "hidden-query-twice",
            "Two fields with the token do not reach the backend",
            "{name}={token}&{name}={token}&a=1",
        ),
        row(
            "hidden-query-encoded-name",
            "The token under its percent-encoded name does not reach the backend",
            "%74oken={token}&a=1",
        ),
        row("hidden-query-only", "A query with nothing but the token leaves no rest", "{name}={token}"),
    ],
)
async def hidden_query(lab: Lab, query: str) -> None:
    name = lab.setup.text("token_query")
    text = query.format(name=name, token=lab.token)
    _, studio = await lab.knock(handshake(lab, target=f"{lab.path}?{text}"))
    equal("the places with the token", leaks(studio.head, lab.token), [])
    left = studio.head.target.partition("?")[2].split("&")
    kept = [field for field in text.split("&") if lab.token not in field]
    if lab.setup.offers.get("forwards_query"):
        true(f"the other fields {kept}", all(field in left for field in kept), repr(left))


@GROUP.test(
    "hidden-subprotocol",
    "The token in the subprotocols does not reach the backend, and does not come back",
    level=FEATURE,
    rule=HYGIENE,
    needs=["hides_token", "token_subprotocol"],
)
async def hidden_subprotocol(lab: Lab) -> None:
    mark = lab.setup.text("token_subprotocol")
    pair = await lab.join(handshake(lab, f"Sec-WebSocket-Protocol: {mark}, {lab.token}"))
    equal("the places with the token", leaks(pair.studio.head, lab.token), [])
    equal("the places of the answer with the token", leaks(pair.client.head, lab.token), [])


@GROUP.table(
    level=FEATURE,
    rule=HYGIENE,
    rows=[
        row("no-echo", "A refusal does not repeat the token", "Authorization: Bearer {}", None),
        row("no-echo-query", "A refusal does not repeat a token of the query", "", "token={}"),
    ],
)
async def no_echo(lab: Lab, line: str, query: str | None) -> None:
    token = lab.secret(f"secret-{lab.marker}-token")
    target = f"{lab.path}?{query.format(token)}" if query else None
    answer = await lab.refused(handshake(lab, *([line.format(token)] if line else []), target=target))
    equal("the places of the answer with the token", leaks(answer, token), [])
    true("a body without the token", token.encode() not in answer.body, answer.body)


@GROUP.test("not-logged", "No token is in the log", level=FEATURE, rule=HYGIENE, needs=["log"])
async def not_logged(lab: Lab) -> None:
    bad = lab.secret(f"secret-{lab.marker}-token")
    pair = await lab.join()
    await pair.exchange()
    pair.client.leave()
    await pair.studio.leftover()
    await lab.refused(lab.request(token=bad), 401)
    await lab.refused(handshake(lab, target=f"{lab.path}?token={bad}"))
    log = lab.stack.gateway.log_tail(10_000)
    for token in (lab.token, bad):
        lines = [line for line in log.splitlines() if token in line]
        true("no log line with a token", not lines, escape("\n".join(lines).encode()))


@GROUP.test(
    "not-in-metrics", "No token is in the metrics", level=FEATURE, rule=HYGIENE, needs=["metrics_path"]
)
async def not_in_metrics(lab: Lab) -> None:
    pair = await lab.join()
    pair.client.send(TEXT, "up")
    await pair.studio.expect_message(TEXT, "up")
    answer = await lab.get(lab.setup.text("metrics_path"))
    true("metrics without the token", lab.token.encode() not in answer.body, "the token is in the metrics")
    true("metrics without the user", lab.user.encode() not in answer.body, "the user is in the metrics")
