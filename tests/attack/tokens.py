"""Attacks with tokens: poisoned ones, junk, huge ones, and the room in which clients wait for their first message."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from typing import Final

from tests.attack.auth import POISON, token_of
from tests.attack.enemy import Enemy, attack
from tests.net.wire import PING, TEXT, upgrade_request

POISONED: Final = "poisoned tokens open the circuit breaker of Auth"
REFUSED_USER: Final = "one user makes a backend look unhealthy"
PLACES: Final = "one address takes all connections to Auth"
JUNK: Final = "junk tokens remove valid ones from the cache"
SQUATTING: Final = "connections that send nothing, or send slowly"
FIRST_MESSAGE: Final = {"FIRST_MESSAGE_AUTH": "true"}


async def again_and_again(enemy: Enemy, tokens: Sequence[str], addresses: int) -> None:
    """Connect eight times a second with each of these tokens in turn."""
    turn = itertools.count()

    async def one(_: int) -> None:
        number = next(turn)
        token = tokens[number % len(tokens)]
        head = await enemy.ask(upgrade_request(token), address=number % addresses)
        enemy.check(head.status in (401, 429, 502, 503), f"{token} got {head.first_line}")
        await asyncio.sleep(0.1)

    await enemy.storm(one, at_once=20 * addresses)


@attack(POISONED)
async def a_poisoned_token(enemy: Enemy) -> None:
    """One address presents a token on which Auth fails, again and again, and one of each other kind of failure."""
    await again_and_again(enemy, [f"{kind}.{enemy.name}.1" for kind in POISON if kind != "hang"], 1)


@attack(POISONED)
async def a_hundred_poisoned_tokens(enemy: Enemy) -> None:
    """Two addresses present a hundred tokens on which Auth fails, each another one."""
    kinds = [kind for kind in POISON if kind != "hang"]
    tokens = [f"{kinds[number % len(kinds)]}.{enemy.name}.{number}" for number in range(100)]
    await again_and_again(enemy, tokens, 2)


@attack(PLACES)
async def tokens_that_hang(enemy: Enemy) -> None:
    """One address presents tokens that Auth never answers; it gets at most half of the connections to Auth."""

    async def one(number: int) -> None:
        head = await enemy.ask(upgrade_request(f"hang.{enemy.name}.{number}"))
        enemy.check(head.status in (429, 503), head.first_line)

    await enemy.storm(one, at_once=100)


@attack(JUNK)
async def junk_tokens(enemy: Enemy) -> None:
    """From many addresses, each handshake has another token that Auth refuses."""

    async def one(number: int) -> None:
        head = await enemy.ask(upgrade_request(f"junk.{enemy.name}.{number}"), address=number // 20)
        enemy.expect(head, 401)

    await enemy.storm(one, at_once=30)


@attack("huge tokens cost memory and time")
async def huge_tokens(enemy: Enemy) -> None:
    """Tokens of 5 to 15 KB, in the header, in the query and as a subprotocol: 401, and Auth is not asked."""

    async def one(number: int) -> None:
        token = "h" * (5_000 + number % 10_000)
        requests = (
            upgrade_request(token),
            upgrade_request(target=f"/ws?token={token}"),
            upgrade_request(extra=[f"Sec-WebSocket-Protocol: bearer, {token}"]),
        )
        enemy.expect(await enemy.ask(requests[number % 3], address=number // 10), 401)

    await enemy.storm(one, at_once=50)


@attack(SQUATTING, settings=FIRST_MESSAGE)
async def waiting_room(enemy: Enemy) -> None:
    """Hundreds of clients without a token wait for their first message, silent or with pings; 1008 after 5 seconds.

    One address may have 26 of them.
    """

    async def one(number: int) -> None:
        address = 0 if number % 2 else number // 20
        async with enemy.dial(address) as peer:
            peer.write(upgrade_request())
            head = await enemy.answer(peer)
            enemy.expect(head, 101)
            if head.status == 101:
                while enemy.going_on:
                    enemy.send(peer, PING, b"hello")
                    await asyncio.sleep(0.5)

    await enemy.storm(one, at_once=500)


@attack(SQUATTING, settings=FIRST_MESSAGE)
async def odd_first_messages(enemy: Enemy) -> None:
    """First messages that are deep, huge, in fragments, or no JSON: the client is told, and nobody else notices."""
    messages = (
        b"[" * 10_000,
        b'{"type":"auth","data":' * 500,
        b"\xff" * 1000,
        b'{"type":"auth","data":{"token":42}}',
        b"x" * 20_000,
        json.dumps({"type": "auth", "data": {"token": "t" * 10_000}}).encode(),
    )

    async def one(number: int) -> None:
        async with enemy.dial(number // 10) as peer:
            peer.write(upgrade_request())
            head = await enemy.answer(peer)
            if head.status == 101:
                enemy.send(peer, TEXT, messages[number % len(messages)])
                code, _ = await peer.read_close()
                enemy.check(code in (1002, 1003, 1007, 1008, 1009, 4401), f"the close code is {code}")

    await enemy.storm(one, at_once=50)


@attack(
    "a token in the only subprotocol is selected or sent on, with first-message auth", settings=FIRST_MESSAGE
)
async def subprotocols_like_tokens(enemy: Enemy) -> None:
    """Clients offer one subprotocol that looks like a token: Auth is asked first, and it is never selected."""
    offers = ("aaa.bbb.ccc", "x" * 65, "eyJh.eyJz.sig-_", "y" * 200)

    async def one(number: int) -> None:
        good = number % 5 == 0
        offer = token_of(enemy.user(number)) if good else offers[number % len(offers)]
        request = upgrade_request(extra=[f"Sec-WebSocket-Protocol: {offer}"])
        head = await enemy.ask(request, address=number // 10)
        enemy.expect(head, 101 if good else 401)
        enemy.check(head.get("sec-websocket-protocol") == "", "a token was selected as a subprotocol")

    await enemy.storm(one, at_once=50)
