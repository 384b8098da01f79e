"""Attacks on the HTTP requests that are forwarded: floods, bodies without end, answers that nobody takes, and smuggling."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from tests.attack.auth import token_of
from tests.attack.enemy import Enemy, attack, stop_reading
from tests.attack.heads import get

RATE: Final = "one user or address sends too many HTTP requests"
BODIES: Final = "a forwarded body is huge, slow or nothing but framing"
ANSWERS: Final = "an answer is taken, or sent, too slowly"
SMUGGLING: Final = "a forwarded HTTP request is read in another way by Studio"
GUESSES: Final = "somebody guesses passwords at Auth"
PATHS: Final = "a path reaches what its prefix does not allow"

PER_ADDRESS: Final = (100, 400)
OPEN_PER_ADDRESS: Final = (5, 20)
AT_ONCE: Final = 64
"""HTTP_RATE_PER_IP and HTTP_BURST_PER_IP, the same without a token, and HTTP_CONNECTIONS_PER_IP."""


def asking(enemy: Enemy, path: str, *fields: str, method: str = "GET", user: int = 0) -> bytes:
    """Build a request with a token."""
    return get(path, f"Authorization: Bearer {token_of(enemy.user(user))}", *fields, method=method)


@attack(RATE)
async def flood_of_forwarded_requests(enemy: Enemy) -> None:
    """One address asks Studio for books, as many users: its rate holds."""
    served = 0

    async def one(number: int) -> None:
        nonlocal served
        head = await enemy.ask(asking(enemy, "/api/v1/books", user=number))
        enemy.expect(head, 200)
        served += head.status == 200

    await enemy.storm(one, at_once=50)
    rate, burst = PER_ADDRESS
    enemy.check(served <= burst + rate * (enemy.seconds + 1), f"{served} requests were forwarded")
    enemy.damage.sent = served


@attack(GUESSES)
async def flood_of_logins(enemy: Enemy) -> None:
    """One address sends logins: Auth gets five of them in a second."""
    served = 0

    async def one(_: int) -> None:
        nonlocal served
        body = b'{"email":"good@example.org","password":"guess"}'
        head = get("/auth/login", f"Content-Length: {len(body)}", method="POST")
        answer = await enemy.ask(head + body)
        served += answer.status != 429
        enemy.check(answer.status < 500, answer.first_line)

    await enemy.storm(one, at_once=50)
    rate, burst = OPEN_PER_ADDRESS
    enemy.check(served <= burst + rate * (enemy.seconds + 1), f"{served} logins reached Auth")
    enemy.damage.sent = served


@attack(BODIES)
async def endless_uploads(enemy: Enemy) -> None:
    """One address uploads bodies that never end: 64 of them at most, and each is held in memory only as far as Studio reads."""
    held = 0
    framing = ("Content-Length: 10000000", "Transfer-Encoding: chunked")

    async def one(number: int) -> None:
        nonlocal held
        async with enemy.dial() as peer:
            peer.write(asking(enemy, "/api/v1/blobs", framing[number % 2], method="POST", user=number))
            try:
                async with asyncio.timeout(2):
                    await enemy.answer(peer)
            except TimeoutError:
                held += 1
                while enemy.going_on:
                    peer.write(b"x" if number % 2 == 0 else b"1\r\nx\r\n")
                    await asyncio.sleep(0.5)

    await enemy.storm(one, at_once=250)
    enemy.check(held <= 2 * AT_ONCE, f"{held} uploads of one address were held")
    enemy.damage.sent = held


@attack(ANSWERS)
async def unread_forwarded_answers(enemy: Enemy) -> None:
    """Clients ask for books and read nothing: each address has 64 such requests, and each ends after some seconds."""

    async def one(number: int) -> None:
        async with enemy.dial(number // 20, receive_buffer=4096) as peer:
            stop_reading(peer)
            peer.write(asking(enemy, "/api/v1/books", user=number))
            await enemy.rest()

    await enemy.storm(one, at_once=500)


@attack(ANSWERS)
async def slow_readers_of_large_answers(enemy: Enemy) -> None:
    """Clients read a large answer byte by byte, or not at all; what waits for each in the gateway has a limit."""
    large = json.dumps({"processor_id": "p", "schema_id": "s", "data": "x" * 900_000}).encode()
    upload = asking(enemy, "/api/v1/blobs", f"Content-Length: {len(large)}", method="POST")
    head = await enemy.ask(upload + large, address=1)
    enemy.expect(head, 201)
    question = asking(enemy, f"/api/v1/blobs/{json.loads(head.body)['id']}")

    async def one(number: int) -> None:
        async with enemy.dial(number // 20, receive_buffer=4096) as peer:
            stop_reading(peer)
            peer.write(question)
            while enemy.going_on:
                await asyncio.sleep(0.2)
                if number % 2:
                    await peer.reader.read(1)
                    enemy.damage.sent += 1

    await enemy.storm(one, at_once=100)


@attack(SMUGGLING)
async def smuggled_bodies(enemy: Enemy) -> None:
    """Bodies that can be read in two ways, with a request of another user inside: all get 400."""
    ways = (
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Content-Length: 4", "Content-Length: 5"),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding: xchunked",),
    )
    inside = b"0\r\n\r\nGET /api/v1/books HTTP/1.1\r\nHost: x\r\nX-User-ID: good-1\r\n\r\n"

    async def one(number: int) -> None:
        head = asking(enemy, "/api/v1/blobs", *ways[number % len(ways)], method="POST", user=number)
        enemy.expect(await enemy.ask(head + inside, address=number), 400)

    await enemy.storm(one, at_once=50)


@attack(PATHS)
async def paths_out_of_their_prefix(enemy: Enemy) -> None:
    """Paths that some server reads as another one: none reaches the control routes of the fakes, or Auth's validation."""
    paths = (
        "/api/../_control/log", "/api/%2e%2e/_control/log", "/api/..%2f_control/log", "/api//_control/log", "/api/..;/_control/log",
        "/auth/../../../_control/tokens", "/auth/%2576alidate", "/auth/validate/", "/auth/..%5c..%5c..%5c_control/tokens",
    )  # fmt: skip

    async def one(number: int) -> None:
        request = asking(enemy, paths[number % len(paths)], "Content-Length: 0", method="POST", user=number)
        enemy.expect(await enemy.ask(request, address=number), 400, 404)

    await enemy.storm(one, at_once=50)
