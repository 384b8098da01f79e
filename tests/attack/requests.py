"""Attacks on the HTTP routes: answers that nobody reads, bodies that never end, and floods."""

from __future__ import annotations

import json
from typing import Final

from tests.attack.auth import token_of
from tests.attack.enemy import Enemy, attack, stop_reading
from tests.attack.heads import crowd, get

from memmie_harness.conformance.peers import upgrade_request

UNREAD: Final = "one address sends requests for `/metrics` and reads no answer"
BODIES: Final = "one address sends bodies that never end"
RATE: Final = "one address connects again and again"
RENEWAL: Final = "somebody moves connections of others with `POST /token/renew`"
FREE_PER_SECOND: Final = 20
"""Requests for `/health` and for `/ready` that do not count against the connection rate."""

CONNECT_RATE: Final = 10
CONNECT_BURST: Final = 50


def renewal(new: str, body: bytes, *fields: str, length: int = -1) -> bytes:
    """Build a renewal."""
    size = len(body) if length < 0 else length
    head = get(
        "/token/renew", f"Authorization: Bearer {new}", f"Content-Length: {size}", *fields, method="POST"
    )
    return head + body


@attack(UNREAD)
async def unread_metrics(enemy: Enemy) -> None:
    """Clients ask for `/metrics` and read nothing, from many addresses and from one.

    An unread answer keeps one of the 26 places of its address, and the text is made once in a second.
    """

    async def one(number: int) -> None:
        async with enemy.dial(number // 20 if number % 2 else 0, receive_buffer=4096) as peer:
            stop_reading(peer)
            peer.write(get("/metrics"))
            await enemy.rest()

    await enemy.storm(one, at_once=500)


@attack(UNREAD)
async def unread_refusals(enemy: Enemy) -> None:
    """Refused clients read nothing, and do not close; each refusal ends after 10 seconds at the latest."""

    async def one(number: int) -> None:
        async with enemy.dial(number // 20, receive_buffer=4096) as peer:
            stop_reading(peer)
            peer.write((upgrade_request(), b"nonsense\r\n\r\n", get("/nowhere"))[number % 3])
            await enemy.rest()

    await enemy.storm(one, at_once=500)


@attack(BODIES)
async def unfinished_bodies(enemy: Enemy) -> None:
    """One address posts bodies that never end: to the route that reads bodies, and to others.

    It may have 16 renewals, and 26 unanswered requests in all; every other one is refused.
    """

    def request(number: int) -> bytes:
        if number % 3:
            return renewal(token_of(enemy.user(number)), b'{"tok', length=1000)
        return get("/health", "Content-Length: 10", method="POST")

    await crowd(enemy, request, lambda _: enemy.rest())


@attack("an input makes a route fail")
async def bad_accept(enemy: Enemy) -> None:
    """Scrapes with `Accept` fields that a parser may stumble over: 200, and never a 500."""
    accepted = (
        "application/openmetrics-text; version=a",
        "application/openmetrics-text; version=",
        "application/openmetrics-text;version=1.0.0;q=x",
        "text/plain;version=99999999999999999999",
        ";;;q=;,,,",
        "\xff/\xfe; version=\xf6",
        "*/*;q=1e400",
        "application/openmetrics-text; version=1.0.0" * 100,
    )

    async def one(number: int) -> None:
        request = get("/metrics", f"Accept: {accepted[number % len(accepted)]}")
        enemy.expect(await enemy.ask(request, address=number // 10), 200)

    await enemy.storm(one, at_once=50)


@attack(RATE)
async def flood_of_requests(enemy: Enemy) -> None:
    """One address sends requests of all methods to all paths: its connection rate holds for all that can be read.

    So `/metrics` and answers of 404 cost as little as a refusal.
    """
    paths = ("/metrics", "/nowhere", "/", "/ws", "/socket.io/", "/token/renew", "*")
    methods = ("GET", "HEAD", "OPTIONS", "PUT", "TRACE", "PATCH")
    served = 0

    async def one(number: int) -> None:
        nonlocal served
        method = methods[number // len(paths) % len(methods)]
        async with enemy.dial() as peer:
            peer.write(get(paths[number % len(paths)], method=method))
            line = (await peer.reader.readline()).decode()
            served += line.startswith("HTTP/1.1 ") and line.split(" ")[1] not in ("400", "429")
            enemy.check(" 500 " not in line, line)

    await enemy.storm(one, at_once=50)
    most = CONNECT_BURST + CONNECT_RATE * (enemy.seconds + 1)
    enemy.check(served <= most, f"{served} requests were served in {enemy.seconds:g} s")
    enemy.damage.sent = served


@attack(RATE)
async def flood_of_checks(enemy: Enemy) -> None:
    """One address asks for `/health` and `/ready` all the time: 20 of each in a second are free, the others count.

    So the platform, at another address, is answered.
    """
    served = 0

    async def one(number: int) -> None:
        nonlocal served
        head = await enemy.ask(get("/ready" if number % 2 else "/health"))
        enemy.expect(head, 200)
        served += head.status == 200

    await enemy.storm(one, at_once=50)
    most = CONNECT_BURST + 2 * FREE_PER_SECOND + (CONNECT_RATE + 2 * FREE_PER_SECOND) * (enemy.seconds + 1)
    enemy.check(served <= most, f"{served} checks were answered in {enemy.seconds:g} s")


@attack(RENEWAL)
async def renewal_abuse(enemy: Enemy) -> None:
    """Renewals with tokens of good clients as OLD, with JSON that is deep, huge or broken, and with many tokens.

    Nobody else's connection moves, and the answer does not tell whether a token exists.
    """
    bodies = (
        json.dumps({"token": token_of("good-7")}).encode(),
        json.dumps({"token": "user.nobody.1"}).encode(),
        b"[" * 60_000,
        b'{"token":' * 6_000,
        b"\xff\xfe\x00",
        b'{"token":""}',
        b'{"token":{"token":1}}',
        b"x" * 70_000,
    )

    async def one(number: int) -> None:
        new = token_of(enemy.user(number), number)
        head = await enemy.ask(renewal(new, bodies[number % len(bodies)]), address=number // 10)
        enemy.expect(head, 200, 400, 413)
        if head.status == 200:
            enemy.check(json.loads(head.body) == {"moved": 0}, f"the answer is {head.body!r}")

    await enemy.storm(one, at_once=50)
