"""Tokens: where they are found, and which of them are valid."""

from __future__ import annotations

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.peers import Head
from memmie_harness.conformance.peers.auth import valid
from memmie_harness.conformance.peers.heads import upgrade_request

GROUP = Group("auth", "Tokens and Auth", needs=("auth",))

TOKENS = "spec §1, tokens"


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
