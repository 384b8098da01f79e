"""First-message auth: the client gets its 101 before it has shown a token, and sends the token in its first message."""

from __future__ import annotations

import json
from typing import Final

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.pair import Pair, accept
from memmie_harness.conformance.peers import BINARY, CONT, TEXT
from memmie_harness.conformance.peers.auth import status
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.auth import handshake
from memmie_harness.conformance.tests.hygiene import leaks
from memmie_harness.conformance.tests.limits import fill

GROUP = Group("first-message", "The token in the first message", needs=("auth", "first_message_seconds"))

TOKENS: Final = "spec §1, tokens"
REFUSED: Final = "spec §1, refusals"


def auth_message(token: str) -> str:
    """Return the message that has the token."""
    return json.dumps({"type": "auth", "data": {"token": token}})


async def upgraded(lab: Lab) -> Side:
    """Connect a client without a token, which gets its 101 at once."""
    client = await lab.dial()
    client.write(handshake(lab))
    await lab.accepted(client)
    return client


async def join(lab: Lab, client: Side) -> Pair:
    """Let a client in that has sent its token."""
    studio = await lab.arrival()
    accept(studio)
    return Pair(client, studio)


@GROUP.test(
    "accepted",
    "A token in the first message is accepted, and messages pass both ways",
    level=FEATURE,
    rule=TOKENS,
)
async def accepted(lab: Lab) -> None:
    client = await upgraded(lab)
    client.send(TEXT, auth_message(lab.token))
    pair = await join(lab, client)
    await pair.exchange()


@GROUP.test(
    "nobody-asked-before",
    "Before the first message, neither Auth nor a backend is asked",
    level=FEATURE,
    rule=TOKENS,
)
async def nobody_asked(lab: Lab) -> None:
    client = await upgraded(lab)
    await client.expect_silence()
    lab.no_arrival()
    equal("how often Auth was asked", lab.stack.auth.questions[lab.token], 0)


@GROUP.test(
    "not-forwarded",
    "The message with the token does not reach the backend, and the token is in no part of the handshake",
    level=FEATURE,
    rule="spec §1 (a token is never sent to Studio, logged or used as a label)",
)
async def not_forwarded(lab: Lab) -> None:
    client = await upgraded(lab)
    client.write(
        client.frame(TEXT, auth_message(lab.token)) + client.frame(TEXT, "the first for the backend")
    )
    pair = await join(lab, client)
    equal("the places with the token", leaks(pair.studio.head, lab.token), [])
    await pair.studio.expect_message(TEXT, "the first for the backend")


@GROUP.test(
    "behind-handshake",
    "The first message and others may come in the same segment as the handshake; their order stays",
    level=FEATURE,
    rule="spec §8 (what was received with the handshake is forwarded)",
)
async def behind_handshake(lab: Lab) -> None:
    client = await lab.dial()
    frames = [auth_message(lab.token), *(str(number) for number in range(20))]
    client.write(handshake(lab) + b"".join(client.frame(TEXT, text) for text in frames))
    pair = await join(lab, client)
    await lab.accepted(client)
    for number in range(20):
        await pair.studio.expect_message(TEXT, str(number))


@GROUP.test(
    "fragmented",
    "The first message may come in fragments",
    level=FEATURE,
    rule="RFC 6455 §5.4, spec §1, tokens",
)
async def fragmented(lab: Lab) -> None:
    client = await upgraded(lab)
    text = auth_message(lab.token)
    client.send(TEXT, text[:10], fin=False)
    client.send(CONT, text[10:20], fin=False)
    client.send(CONT, text[20:])
    pair = await join(lab, client)
    await pair.exchange()


@GROUP.table(
    level=FEATURE,
    rule=REFUSED,
    rows=[
        row("bad-token", "An invalid token in the first message gets 4401", 401, 4401),
        row("auth-away", "If Auth is not available, the client gets 1013", 500, 1013),
    ],
)
async def bad_token(lab: Lab, answer: int, code: int) -> None:
    token = lab.secret(f"bad-{lab.marker}")
    lab.stack.auth.answer(token, status(answer))
    client = await upgraded(lab)
    client.send(TEXT, auth_message(token))
    await client.expect_close(code)
    lab.no_arrival()


@GROUP.table(
    level=FEATURE,
    rule=REFUSED,
    rows=[
        row(
            "other-message",
            "Another first message ends the connection with 1008",
            TEXT,
            '{"type":"heartbeat"}',
        ),
        row("not-json", "A first message that is not JSON ends the connection with 1008", TEXT, "hello"),
        row(
            "binary",
            "A binary first message without a token ends the connection with 1008",
            BINARY,
            b"\x00\xff",
        ),
        row("empty-token", "An empty token ends the connection with 1008", TEXT, auth_message("")),
        row("endless", "A first message of 1 MB ends the connection with 1008", TEXT, "[" * 1_000_000),
    ],
)
async def other_message(lab: Lab, opcode: int, payload: str | bytes) -> None:
    client = await upgraded(lab)
    client.send(opcode, payload)
    await client.expect_close(1008)
    lab.no_arrival()


@GROUP.test(
    "late", "A client that sends no first message in time gets 1008", level=FEATURE, rule=REFUSED, seconds=40
)
async def late(lab: Lab) -> None:
    client = await upgraded(lab)
    client.patience += lab.setup.number("first_message_seconds")
    await client.expect_close(1008)
    lab.no_arrival()


@GROUP.test(
    "backend-refuses",
    "A 4xx of the backend is the close code 4000 + status",
    level=FEATURE,
    rule=REFUSED,
    needs=["forwards_refusals"],
)
async def backend_refuses(lab: Lab) -> None:
    client = await upgraded(lab)
    client.send(TEXT, auth_message(lab.token))
    studio = await lab.arrival()
    studio.write(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
    await client.expect_close(4403)


@GROUP.test(
    "user-full",
    "A user with the largest number of connections gets 4429",
    level=FEATURE,
    rule="spec §8",
    needs=["connections_per_user", "token_header"],
)
async def user_full(lab: Lab) -> None:
    await fill(lab, int(lab.setup.number("connections_per_user")))
    client = await upgraded(lab)
    client.send(TEXT, auth_message(lab.token))
    await client.expect_close(4429)


@GROUP.test(
    "in-handshake",
    "A token in the handshake is still taken, and then the first message is an ordinary one",
    level=FEATURE,
    rule=TOKENS,
    needs=["token_header"],
)
async def in_handshake(lab: Lab) -> None:
    pair = await lab.join()
    text = auth_message(lab.secret(f"other-{lab.marker}"))
    pair.client.send(TEXT, text)
    await pair.studio.expect_message(TEXT, text)


@GROUP.test(
    "not-logged",
    "A token of a first message is not in the log",
    level=FEATURE,
    rule="spec §1 (a token is never sent to Studio, logged or used as a label)",
    needs=["log"],
)
async def not_logged(lab: Lab) -> None:
    bad = lab.secret(f"secret-{lab.marker}-token")
    client = await upgraded(lab)
    client.send(TEXT, auth_message(bad))
    await client.expect_close(4401)
    client.send_close(4401)
    await client.expect_end()
    lines = [line for line in lab.stack.gateway.log_tail(10_000).splitlines() if bad in line]
    true("no log line with the token", not lines, "\n".join(lines))
