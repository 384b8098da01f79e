"""A token appears nowhere but in the question to Auth."""

from __future__ import annotations

from urllib.parse import quote

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.peers import TEXT, Head
from memmie_harness.conformance.tests.auth import GROUP, handshake
from memmie_harness.conformance.transcript import escape

HYGIENE = "spec §1 (a token is never sent to Studio, logged or used as a label)"


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
    if name := lab.setup.offers.get("token_query"):
        await lab.refused(handshake(lab, target=f"{lab.path}?{name}={bad}"))
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
