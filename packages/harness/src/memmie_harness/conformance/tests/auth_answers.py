"""What Auth answers, and what its failures do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from memmie_harness.conformance.checks import true
from memmie_harness.conformance.group import FEATURE, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.peers.auth import Answer, hang_up, never, raw, status, valid
from memmie_harness.conformance.tests.auth import GROUP

ANSWERS = "spec §2"

FAILS = (500, 502, 503, 504)
"""What the client may get if Auth fails."""

NOT_LET_IN = (401, 403, 500, 502, 503, 504)
"""What the client may get if Auth says nothing that lets it in."""


@GROUP.table(
    level=FEATURE,
    rule=ANSWERS,
    rows=[
        row("says-401", "If Auth answers 401, the client gets 401", status(401), (401,)),
        row("says-500", "If Auth answers 500, the client gets 5xx", status(500), FAILS),
        row("says-503", "If Auth answers 503, the client gets 5xx", status(503), FAILS),
        row("says-404", "If Auth answers 404, nobody is let in", status(404), range(400, 600)),
        row(
            "says-redirect",
            "If Auth answers 302, nobody is let in",
            status(302),
            range(300, 600),
        ),
        row(
            "says-garbage",
            "If Auth does not answer in HTTP, the client gets 5xx",
            raw(b"\xff\x00garbage\r\n\r\n"),
            FAILS,
        ),
        row("hangs-up", "If Auth resets the connection, the client gets 5xx", hang_up, FAILS),
    ],
)
async def auth_says(lab: Lab, answer: Answer, statuses: Sequence[int]) -> None:
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
            FAILS,
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
            NOT_LET_IN,
        ),
        row(
            "says-nothing",
            "If Auth answers 200 with an empty body, nobody is let in",
            status(200, b""),
            NOT_LET_IN,
        ),
        row(
            "says-empty-object",
            "If Auth answers an empty object, nobody is let in",
            status(200, b"{}"),
            NOT_LET_IN,
        ),
        row(
            "says-list",
            "If Auth answers a list, nobody is let in",
            status(200, b"[true]"),
            NOT_LET_IN,
        ),
        row(
            "says-valid-text",
            'If `valid` is the text "true", nobody is let in',
            status(200, b'{"valid": "true", "user_id": "u"}'),
            NOT_LET_IN,
        ),
        row(
            "says-no-user",
            "If a valid token has no user, nobody is let in",
            status(200, b'{"valid": true}'),
            NOT_LET_IN,
        ),
        row(
            "says-empty-user",
            "If the user is empty, nobody is let in",
            valid(""),
            NOT_LET_IN,
        ),
        row(
            "says-number",
            "If the user is a number, nobody is let in",
            valid(17),
            NOT_LET_IN,
        ),
        row(
            "says-line-end",
            "If the user has a line end, nobody is let in",
            valid("a\r\nX-Admin: 1"),
            NOT_LET_IN,
        ),
        row(
            "says-nul",
            "If the user has a NUL, nobody is let in",
            valid("a\0b"),
            NOT_LET_IN,
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
