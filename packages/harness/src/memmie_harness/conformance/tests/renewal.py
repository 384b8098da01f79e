"""Renewal: a client moves its live connections from a token that will end to a new one."""

from __future__ import annotations

import json
import time

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.pair import Pair
from memmie_harness.conformance.peers import TEXT, Head
from memmie_harness.conformance.peers.auth import valid
from memmie_harness.conformance.tests.hygiene import leaks

RULE = "spec §1, renewal"

GROUP = Group("renewal", "Renewal of tokens", needs=("auth", "renew_path", "closes_at_expiry"))

LIFE = 4
"""Seconds after which a token ends that ends in a test; `expires` has whole seconds."""


async def renew(lab: Lab, old: str, new: str, *lines: str, method: str = "POST", padding: int = 0) -> Head:
    """Ask the gateway to move connections from the old token to the new one."""
    body = json.dumps({"token": old}).encode() + b" " * padding
    authorization = [f"Authorization: Bearer {new}"] if new else []
    head = [
        f"{method} {lab.setup.text('renew_path')} HTTP/1.1",
        "Host: gateway.test",
        *authorization,
        *lines,
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    _, answer = await lab.ask("\r\n".join([*head, "", ""]).encode() + body)
    return answer


async def moved(lab: Lab, old: str, new: str) -> int:
    """Renew, and return how many connections the gateway says that it has moved."""
    answer = await renew(lab, old, new)
    equal("the status", answer.status, 200)
    number = json.loads(answer.body).get("moved")
    true("a number in `moved`", type(number) is int, repr(answer.body))
    return int(number)


def ending(lab: Lab, life: int = LIFE) -> str:
    """Return a token that ends soon."""
    token = lab.mint(lab.user)
    lab.stack.auth.answer(token, valid(lab.user, expires=int(time.time()) + life))
    return token


async def join(lab: Lab, token: str) -> Pair:
    """Open a connection with a token that ends soon."""
    pair = await lab.join(lab.request(token=token))
    pair.client.patience += LIFE
    return pair


@GROUP.test(
    "lives-on",
    "A connection that was moved to a new token lives on when the old one ends; another ends with 4401",
    level=FEATURE,
    rule=RULE,
)
async def lives_on(lab: Lab) -> None:
    # A gateway may close one second late, so the witness ends a second after the old token.
    old, other = ending(lab), ending(lab, LIFE + 1)
    pair, witness = await join(lab, old), await join(lab, other)
    equal("the number of moved connections", await moved(lab, old, lab.token), 1)
    await witness.client.expect_close(4401)
    await pair.exchange()


@GROUP.test("all", "All connections of the old token are moved, and no other", level=FEATURE, rule=RULE)
async def all_of_them(lab: Lab) -> None:
    old, other = lab.mint(lab.user), lab.mint(lab.user)
    pairs = [await lab.join(lab.request(token=token)) for token in (old, old, other)]
    equal("the number of moved connections", await moved(lab, old, lab.token), 2)
    equal("the number of connections that are left", await moved(lab, old, lab.token), 0)
    for pair in pairs:
        await pair.exchange()


@GROUP.test("ends-with-new", "A connection that was moved ends with its new token", level=FEATURE, rule=RULE)
async def ends_with_new(lab: Lab) -> None:
    pair = await join(lab, lab.token)
    equal("the number of moved connections", await moved(lab, lab.token, ending(lab)), 1)
    await pair.client.expect_close(4401)


@GROUP.test(
    "other-user",
    "A token of another user moves nothing, and the answer does not say why",
    level=FEATURE,
    rule=RULE,
)
async def other_user(lab: Lab) -> None:
    old = ending(lab)
    pair = await join(lab, old)
    equal("the number of moved connections", await moved(lab, old, lab.mint(f"other-{lab.marker}")), 0)
    equal("that for an unknown token", await moved(lab, f"unknown-{lab.marker}", lab.token), 0)
    await pair.client.expect_close(4401)


@GROUP.test("bad-new", "An invalid new token gets 401, and moves nothing", level=FEATURE, rule=RULE)
async def bad_new(lab: Lab) -> None:
    old = ending(lab)
    pair = await join(lab, old)
    bad = lab.secret(f"secret-{lab.marker}-token")
    answer = await renew(lab, old, bad)
    equal("the status", answer.status, 401)
    equal("the places of the answer with a token", leaks(answer, bad) + leaks(answer, old), [])
    await pair.client.expect_close(4401)


@GROUP.test("without-token", "A renewal without a new token gets 401", level=FEATURE, rule=RULE)
async def without_token(lab: Lab) -> None:
    equal("the status", (await renew(lab, lab.token, "")).status, 401)


@GROUP.test("old-not-asked", "Auth is not asked about the old token", level=FEATURE, rule=RULE)
async def old_not_asked(lab: Lab) -> None:
    old = lab.secret(f"old-{lab.marker}")
    equal("the number of moved connections", await moved(lab, old, lab.token), 0)
    equal("how often Auth was asked about the old token", lab.stack.auth.questions[old], 0)


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    rows=[
        row("get", "GET gets 405 with the allowed methods", "GET", 0, 405),
        row("large-body", "A body of 100 KB gets 413", "POST", 100_000, 413),
    ],
)
async def refused(lab: Lab, method: str, padding: int, status: int) -> None:
    answer = await renew(lab, lab.token, lab.token, method=method, padding=padding)
    equal("the status", answer.status, status)
    if status == 405:
        true("POST in Allow", "POST" in answer.get("allow"), answer.get("allow"))


@GROUP.test("data-goes-on", "A renewal does not disturb messages under way", level=FEATURE, rule=RULE)
async def data_goes_on(lab: Lab) -> None:
    pair = await lab.join()
    pair.client.send(TEXT, "a fragment", fin=False)
    equal("the number of moved connections", await moved(lab, lab.token, lab.mint(lab.user)), 1)
    pair.client.send(0, " and its end")
    await pair.studio.expect_message(TEXT, "a fragment and its end")
    await pair.exchange()
