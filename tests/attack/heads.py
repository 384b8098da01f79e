"""Attacks with request heads: slow, endless, huge, broken, or not HTTP at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tests.attack.auth import token_of
from tests.attack.enemy import Enemy, attack

from memmie_harness.conformance.peers import Peer, upgrade_request

SLOW: Final = "connections that send nothing, or send slowly"
BROKEN: Final = "a second request, or a header, is smuggled in a request"

PLACES: Final = 26
"""Unanswered requests of one address: MAX_CONNECTIONS_PER_IP + 16."""

HEAD_BYTES: Final = 16_384
HEADERS: Final = 100


def get(path: str, *fields: str, method: str = "GET") -> bytes:
    """Build a request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *fields, "", ""]).encode("latin-1")


async def crowd(
    enemy: Enemy, request: Callable[[int], bytes], go_on: Callable[[Peer], Awaitable[None]]
) -> None:
    """Let one address send requests that get no answer; only some may wait, and the others must be refused.

    Args:
        enemy: the attacker.
        request: returns what is sent at first, for each number.
        go_on: called with a connection that waits.
    """
    waiting = 0

    async def one(number: int) -> None:
        nonlocal waiting
        async with enemy.dial() as peer:
            peer.write(request(number))
            waiting += 1
            try:
                async with asyncio.timeout(1):
                    await enemy.answer(peer)
            except TimeoutError:
                enemy.check(waiting <= 2 * PLACES, f"{waiting} requests of one address wait")
                await go_on(peer)
            finally:
                waiting -= 1

    await enemy.storm(one, at_once=250)
    enemy.check(enemy.damage.statuses[429] > 0 or enemy.many < 2 * PLACES, "one address was not refused")


@attack(SLOW)
async def slowloris(enemy: Enemy) -> None:
    """One address opens connections, and sends a line of a head on each now and then.

    Only 26 of its connections may wait for the end of their head.
    """

    async def go_on(peer: Peer) -> None:
        while enemy.going_on:
            peer.write(b"X-Slow: x\r\n")
            await asyncio.sleep(1)

    await crowd(enemy, lambda _: b"GET /ws HTTP/1.1\r\nHost: x\r\n", go_on)


@attack(SLOW)
async def one_byte_at_a_time(enemy: Enemy) -> None:
    """From many addresses, heads arrive byte by byte, each byte in a packet of its own.

    The parser keeps its state, and the head has a limit in bytes and in time.
    """

    async def one(number: int) -> None:
        async with enemy.dial(number // 10) as peer:
            for byte in get("/health"):
                peer.write(bytes([byte]))
                await asyncio.sleep(0.05)
            enemy.expect(await enemy.answer(peer), 200)

    await enemy.storm(one, at_once=300)


@attack(SLOW)
async def endless_head(enemy: Enemy) -> None:
    """From many addresses, heads go on with one field after the other; MAX_HEAD_BYTES and MAX_HEADERS end them."""

    async def one(number: int) -> None:
        async with enemy.dial(number // 10) as peer:
            peer.write(b"GET /ws HTTP/1.1\r\nHost: x\r\n")
            for _ in range(HEADERS):
                peer.write(b"X-More: " + b"m" * 200 + b"\r\n")
                await asyncio.sleep(0.01)
            enemy.expect(await enemy.answer(peer), 431)

    await enemy.storm(one, at_once=50)


@attack(SLOW)
async def huge_heads(enemy: Enemy) -> None:
    """Heads of a megabyte, and heads with a thousand fields: 431, and the answer can be read."""
    huge = get("/ws", "X-Big: " + "x" * (1 << 20))
    many = get("/ws", *(f"X-{number}: y" for number in range(HEADERS + 1)))

    async def one(number: int) -> None:
        enemy.expect(await enemy.ask(many if number % 2 else huge, address=number // 10), 431)

    await enemy.storm(one, at_once=20)


@attack(SLOW)
async def long_urls(enemy: Enemy) -> None:
    """URLs that are longer than a head may be get 414, in one write and in two."""
    url = b"GET /" + b"u" * HEAD_BYTES
    rest = b"u HTTP/1.1\r\nHost: x\r\n\r\n"

    async def one(number: int) -> None:
        pieces = (url, rest) if number % 2 else (url + rest,)
        enemy.expect(await enemy.ask(*pieces, address=number // 10), 414)

    await enemy.storm(one, at_once=50)


@attack(BROKEN)
async def pipelined_garbage(enemy: Enemy) -> None:
    """Behind a request comes another one, or noise: the first one is answered, and nothing else is read."""
    behind = (get("/nowhere", method="DELETE"), bytes(range(256)) * 40, get("/ready") * 20, b"\x00")

    async def one(number: int) -> None:
        async with enemy.dial(number // 10) as peer:
            peer.write(get("/health") + behind[number % len(behind)])
            enemy.expect(await enemy.answer(peer), 200)
            enemy.check(await peer.read_rest() == b"", "there was a second answer")

    await enemy.storm(one, at_once=50)


NOT_HTTP: Final = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "HTTP/0.9": b"GET /ws\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "SOCKS": b"\x05\x01\x00" + bytes(20),
    "a frame": b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
    "PROXY": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
}
"""First bytes of other protocols."""


@attack(BROKEN)
async def other_protocols(enemy: Enemy) -> None:
    """A TLS hello, the preface of HTTP/2, and other protocols on the plain port: 400, and no traceback."""
    kinds = list(NOT_HTTP.values())

    async def one(number: int) -> None:
        enemy.expect(await enemy.ask(kinds[number % len(kinds)], address=number // 10), 400)

    await enemy.storm(one, at_once=50)


BAD_FIELDS: Final = (
    "X-Nul: a\0b",
    "X-\xfcnicode: yes",
    "X Space: yes",
    ": no name",
    "Host: y",
    "Host: a b",
    "Content-Length: 1, 2",
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: gzip",
    "X-Folded: a\r\n b",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999999",
)
"""Fields that a parser may stumble over, or that two parsers may read in two ways."""

LATIN: Final = (
    "X-Latin: \xff\xfe",
    "User-Agent: " + "\xc3\xa9" * 100,
    "Cookie: \xf6=\xf6; =; ;;",
    "Referer: \xff",
)
"""Fields that are odd and allowed."""


@attack(BROKEN)
async def broken_fields(enemy: Enemy) -> None:
    """Handshakes with NUL bytes, names with spaces, two hosts or two lengths: refused or served, and never a 500."""

    async def one(number: int) -> None:
        fields = BAD_FIELDS + LATIN
        request = upgrade_request(token_of(enemy.user(number)), extra=[fields[number % len(fields)]])
        enemy.expect(await enemy.ask(request, address=number // 10), 101, 400, 408)

    await enemy.storm(one, at_once=50)


@attack(SLOW)
async def half_closed(enemy: Enemy) -> None:
    """Clients send a request and then FIN: plain requests are answered, and handshakes end as if the client had left."""

    async def one(number: int) -> None:
        plain = number % 2 == 0
        async with enemy.dial(number // 10) as peer:
            peer.write(get("/health") if plain else upgrade_request(token_of(enemy.user(number))))
            peer.finish()
            if plain:
                enemy.expect(await enemy.answer(peer), 200)
            else:
                await peer.read_rest()

    await enemy.storm(one, at_once=50)
