"""Attacks with connections: too many, too fast, from one address or from hundreds, and gone again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from tests.attack.auth import token_of
from tests.attack.enemy import Enemy, attack
from tests.attack.heads import PLACES
from tests.net.wire import CLOSE, TEXT, Peer, close_body, upgrade_request

PER_ADDRESS: Final = "one address takes all connections"
PER_USER: Final = "one user opens many connections"
RATE: Final = "one address connects again and again"

MOST_PER_ADDRESS: Final = 10
MOST_PER_USER: Final = 5


@attack(PER_ADDRESS)
async def silent_connections_of_one_address(enemy: Enemy) -> None:
    """One address opens connections and says nothing; only 26 of them may stay."""
    silent = 0

    async def one(_: int) -> None:
        nonlocal silent
        async with enemy.dial() as peer:
            try:
                async with asyncio.timeout(0.5):
                    await enemy.answer(peer)
            except TimeoutError:
                silent += 1
                enemy.check(silent <= PLACES, f"{silent} silent connections of one address are open")
                await enemy.rest()

    await enemy.storm(one, at_once=500)


async def fill(
    enemy: Enemy, who: str, most: int, connect: Callable[[int], AbstractAsyncContextManager[Peer]]
) -> None:
    """Open WebSockets until it is over, and see that exactly so many of them are accepted."""
    opened = 0

    async def one(number: int) -> None:
        nonlocal opened
        async with connect(number) as peer:
            enemy.expect(peer.head, 101)
            if peer.head.status == 101:
                opened += 1
                enemy.check(opened <= most, f"{who} has {opened} WebSockets")
                await enemy.rest()

    await enemy.storm(one, at_once=100)
    enemy.check(opened == most, f"{who} got {opened} WebSockets")


@attack(PER_ADDRESS)
async def many_users_of_one_address(enemy: Enemy) -> None:
    """One address opens a WebSocket for each of many users, and says that it comes from other addresses."""

    def connect(number: int) -> AbstractAsyncContextManager[Peer]:
        fields = [f"{name}: 192.0.2.{number % 250}" for name in ("X-Forwarded-For", "X-Real-IP")]
        return enemy.connected(number, extra=fields)

    await fill(enemy, "one address", MOST_PER_ADDRESS, connect)


@attack(PER_USER)
async def one_user_from_many_addresses(enemy: Enemy) -> None:
    """One user opens WebSockets from hundreds of addresses, with one token and with many."""

    def connect(number: int) -> AbstractAsyncContextManager[Peer]:
        return enemy.connected(address=number, token=token_of(enemy.user(), number % 20))

    await fill(enemy, "one user", MOST_PER_USER, connect)


@attack(RATE)
async def connection_flood(enemy: Enemy) -> None:
    """One address connects with a good token, leaves, and comes again, as fast as it can.

    It may do this ten times a second, after a burst of fifty.
    """
    opened = 0

    async def one(number: int) -> None:
        nonlocal opened
        async with enemy.connected(number % 50) as peer:
            enemy.expect(peer.head, 101)
            opened += peer.head.status == 101

    await enemy.storm(one, at_once=100)
    most = 50 + 10 * (enemy.seconds + 1)
    enemy.check(opened <= most, f"{opened} WebSockets of one address in {enemy.seconds:g} s")


@attack("all connections of the process are taken from many addresses")
async def idle_crowd(enemy: Enemy) -> None:
    """Hundreds of clients with good tokens and addresses of their own connect and do nothing; there is room for them."""

    async def one(number: int) -> None:
        async with enemy.connected(number, number) as peer:
            enemy.check(peer.head.status == 101, peer.head.first_line)
            await enemy.rest()

    await enemy.storm(one, at_once=500)


@attack("all connections of the process are taken from many addresses")
async def connecting_crowd(enemy: Enemy) -> None:
    """Clients with good tokens and addresses of their own connect, send a message, and close at once."""

    async def one(number: int) -> None:
        async with enemy.connected(number, number) as peer:
            enemy.expect(peer.head, 101)
            if peer.head.status == 101:
                enemy.send(peer, TEXT, b'{"type":"heartbeat"}')
                peer.send_close(1000)
                await peer.read_rest()

    await enemy.storm(one, at_once=40)


@attack(RATE)
async def connect_and_reset(enemy: Enemy) -> None:
    """Clients connect and reset the connection at once, or in the middle of the handshake, while Auth is asked."""

    async def one(number: int) -> None:
        async with enemy.dial(number // 10) as peer:
            request = upgrade_request(token_of(enemy.user(number), number))
            peer.write(request[: (0, 40, len(request))[number % 3]])
            await asyncio.sleep(0.001 * (number % 5))

    await enemy.storm(one, at_once=50)


@attack("a client is silent, or takes nothing")
async def reset_after_101(enemy: Enemy) -> None:
    """Clients reset or half-close the connection directly after the answer to their handshake."""

    async def one(number: int) -> None:
        async with enemy.connected(number, number // 5) as peer:
            enemy.expect(peer.head, 101)
            if number % 2:
                peer.finish()
                await peer.read_rest()

    await enemy.storm(one, at_once=50)


@attack("clients make any number of series")
async def many_close_codes(enemy: Enemy) -> None:
    """Clients close with all codes from 3000 to 4999; codes that the docs do not list are counted as `other`."""
    before = await enemy.metrics()

    async def one(number: int) -> None:
        async with enemy.connected(number, number // 5) as peer:
            if peer.head.status == 101:
                peer.send(CLOSE, close_body(3000 + 7 * number % 2000))
                await peer.read_rest()

    await enemy.storm(one, at_once=50)
    await asyncio.sleep(1.1)  # METRICS_CACHE_SECONDS
    name = "gateway_websocket_closes_total{"
    series = (await enemy.metrics()).count(name) - before.count(name)
    enemy.check(series <= 40, f"{series} new series")


@attack("one client fills the log with refusals")
async def log_flood(enemy: Enemy) -> None:
    """One address is refused as often as it can, with long queries and ids; ten lines a second are for it, and one more."""

    async def one(number: int) -> None:
        extra = [f"X-Request-ID: {'i' * 100}{number}", "User-Agent: " + "u" * 4000]
        head = await enemy.ask(upgrade_request(target="/ws?" + "q" * 4000, extra=extra))
        enemy.expect(head, 401)

    await enemy.storm(one, at_once=100)
