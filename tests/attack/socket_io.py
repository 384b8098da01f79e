"""Attacks of clients that speak Socket.IO: opens, guesses, requests that pile up, and packets that cost too much."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from typing import Final

from tests.attack.auth import token_of
from tests.attack.enemy import Enemy, attack, stop_reading
from tests.attack.heads import get

from memmie_harness.conformance.peers import CLOSE, MASK, TEXT, Head, Peer, build, upgrade_request

GUESSES: Final = "somebody guesses the `sid` of a connection"
UNUSED: Final = "connections are opened and never used"
PILES: Final = "requests of one connection pile up"
UNREAD: Final = "a client stops polling, and its packets pile up"
BUSY: Final = "many small packets, or large ones, keep the gateway busy"
BROKEN: Final = "packets that are cut, nested, huge or in the wrong order"

MOST_PER_ADDRESS: Final = 10
CONNECT_SECONDS: Final = 5
"""MAX_CONNECTIONS_PER_IP, and FIRST_MESSAGE_SECONDS."""

CONNECT_RATE: Final = 10
CONNECT_BURST: Final = 50

SEPARATOR: Final = "\x1e"


def path(transport: str, sid: str = "") -> str:
    """Return the target of a request of Engine.IO."""
    return f"/socket.io/?EIO=4&transport={transport}{f'&sid={sid}' if sid else ''}"


def poll(sid: str = "") -> bytes:
    """Build a GET."""
    return get(path("polling", sid))


def post(sid: str, *packets: str, length: int = -1) -> bytes:
    """Build a POST; its length may be another one."""
    body = SEPARATOR.join(packets).encode()
    size = len(body) if length < 0 else length
    return get(path("polling", sid), f"Content-Length: {size}", method="POST") + body


def connect(enemy: Enemy, user: int) -> str:
    """Return the packet CONNECT of a user."""
    return f"40{json.dumps({'token': token_of(enemy.user(user))})}"


async def opened(enemy: Enemy, address: int) -> Head:
    """Open a connection over polling, and return the answer."""
    head = await enemy.ask(poll(), address=address)
    enemy.expect(head, 200)
    return head


@contextlib.asynccontextmanager
async def polling(enemy: Enemy, user: int, address: int, *, leave: bool = True) -> AsyncIterator[str]:
    """Connect a client over polling; its `sid` is "" if it has too many connections.

    Args:
        enemy: the attacker.
        user: the number of the user.
        address: the number of the address.
        leave: whether it leaves at the end of the block; otherwise the gateway keeps it until it has not polled for too long.
    """
    head = await opened(enemy, address)
    if head.status != 200:
        yield ""
        return
    sid = str(json.loads(head.body[1:])["sid"])
    try:
        await enemy.ask(post(sid, connect(enemy, user)), address=address)
        head = await enemy.ask(poll(sid), address=address)
        yield sid if head.body.startswith(b"40") else ""
    finally:
        if leave:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                await enemy.ask(post(sid, "41"), address=address)


@contextlib.asynccontextmanager
async def websocket(
    enemy: Enemy, user: int, address: int, *, receive_buffer: int = 0
) -> AsyncIterator[Peer | None]:
    """Connect a client over a WebSocket; None if its address or its user has too many connections."""
    async with enemy.dial(address, receive_buffer=receive_buffer) as peer:
        peer.write(upgrade_request(target=path("websocket")))
        head = await enemy.answer(peer)
        enemy.expect(head, 101)
        if head.status != 101:
            yield None
            return
        await peer.read_message()
        peer.send(TEXT, connect(enemy, user))
        _, answer = await peer.read_message()
        yield peer if answer.startswith(b"40") else None


async def closed_with(peer: Peer) -> int:
    """Read until the Close frame, and return its code."""
    while (frame := await peer.read_frame()).opcode != CLOSE:
        pass
    return int.from_bytes(frame.payload[:2], "big")


@attack(UNUSED, rest=45)
async def opens_without_connect(enemy: Enemy) -> None:
    """One address opens connections over both transports and sends no CONNECT; it may have ten of them for five seconds."""
    served = 0

    async def one(number: int) -> None:
        nonlocal served
        if number % 2:
            served += (await opened(enemy, 0)).status == 200
            return
        async with enemy.dial() as peer:
            peer.write(upgrade_request(target=path("websocket")))
            head = await enemy.answer(peer)
            enemy.expect(head, 101)
            served += head.status == 101
            if head.status == 101:
                await peer.read_rest()

    await enemy.storm(one, at_once=100)
    most = MOST_PER_ADDRESS * (2 + enemy.seconds // CONNECT_SECONDS)
    enemy.check(served <= most, f"{served} connections of one address were opened in {enemy.seconds:g} s")
    enemy.damage.sent = served


@attack(GUESSES, rest=45)
async def guessed_sids(enemy: Enemy) -> None:
    """One address polls, posts and upgrades with guesses: each counts as a connect, and none finds a connection."""
    read = 0

    async def one(number: int) -> None:
        nonlocal read
        sid = secrets.token_urlsafe(16)
        requests = (poll(sid), post(sid, "41"), upgrade_request(target=path("websocket", sid)))
        head = await enemy.ask(requests[number % 3])
        enemy.expect(head, 400)
        read += head.status == 400

    await enemy.storm(one, at_once=50)
    most = CONNECT_BURST + CONNECT_RATE * (enemy.seconds + 1)
    enemy.check(read <= most, f"{read} guesses of one address were looked up in {enemy.seconds:g} s")


# Some clients have two connections at once, so half as many clients have all connections that the attack may have.


@attack(PILES, rest=45)
async def two_polls_at_once(enemy: Enemy) -> None:
    """Clients poll twice at once: the second one gets 400, and the first one still gets its packets."""

    async def one(number: int) -> None:
        address = number // 5
        async with polling(enemy, number, address) as sid, enemy.dial(address) as first:
            if not sid:
                return
            first.write(poll(sid))
            await asyncio.sleep(0.1)
            for _ in range(3):
                enemy.expect(await enemy.ask(poll(sid), address=address), 400)
            await enemy.ask(post(sid, '421["heartbeat"]'), address=address)
            head = await enemy.answer(first)
            enemy.check(head.status == 200, f"the first poll got {head.first_line}")
            enemy.damage.sent += 1

    await enemy.storm(one, at_once=min(30, enemy.many // 2))


@attack(PILES, rest=45)
async def unfinished_posts(enemy: Enemy) -> None:
    """Clients post half a body, and then nothing: one POST of each may wait, and only for ten seconds."""

    async def one(number: int) -> None:
        address = number // 5
        async with polling(enemy, number, address) as sid, enemy.dial(address) as peer:
            if not sid:
                return
            peer.write(post(sid, '42["heartbeat"', length=1000))
            await asyncio.sleep(0.2)
            enemy.expect(await enemy.ask(post(sid, '42["heartbeat"]'), address=address), 400)
            enemy.damage.sent += 1
            await enemy.rest()

    await enemy.storm(one, at_once=min(200, enemy.many // 2))


@attack(PILES, rest=45)
async def upgrades_that_are_never_done(enemy: Enemy) -> None:
    """Clients upgrade, probe or say nothing, and go no further; a second upgrade is refused."""

    async def one(number: int) -> None:
        address = number // 5
        async with polling(enemy, number, address) as sid, enemy.dial(address) as peer:
            if not sid:
                return
            request = upgrade_request(target=path("websocket", sid))
            peer.write(request)
            enemy.expect(await enemy.answer(peer), 101)
            if number % 2:
                peer.send(TEXT, "2probe")
            enemy.expect(await enemy.ask(request, address=address), 400)
            enemy.damage.sent += 1
            await enemy.rest()

    await enemy.storm(one, at_once=min(200, enemy.many // 2))


@attack(UNREAD, rest=60)
async def unread_packets(enemy: Enemy) -> None:
    """Clients post large messages and do not poll for the answers, or poll and read nothing: Studio is not read any more.

    They vanish without a word, and so their connections last for another 40 seconds.
    """
    blob = {"processor_id": "p", "schema_id": "s", "data": "x" * 30_000}
    packet = f"42{json.dumps(['create_blob', blob])}"

    async def one(number: int) -> None:
        address = number // 5
        async with (
            polling(enemy, number, address, leave=False) as sid,
            enemy.dial(address, receive_buffer=4096) as peer,
        ):
            if number % 2 and sid:
                stop_reading(peer)
                peer.write(poll(sid))
            while sid and enemy.going_on:
                await enemy.ask(post(sid, packet), address=address)
                enemy.damage.sent += 1
                await asyncio.sleep(0.1)

    await enemy.storm(one, at_once=min(20, enemy.many // 2))


@attack(UNREAD, rest=45)
async def unread_answers_of_the_gateway(enemy: Enemy) -> None:
    """Clients ask for namespaces with long names, and do not read the answers, which repeat the names."""
    packet = "40/" + "x" * 200_000 + ","

    async def one(number: int) -> None:
        async with websocket(enemy, number, number // 5, receive_buffer=4096) as peer:
            if peer is None:
                return
            stop_reading(peer)
            while enemy.going_on:
                enemy.send(peer, TEXT, packet.encode())
                async with asyncio.timeout(enemy.seconds):
                    await peer.writer.drain()
                await asyncio.sleep(0.05)

    await enemy.storm(one, at_once=20)


@attack(BUSY, rest=45)
async def small_packets(enemy: Enemy) -> None:
    """One user sends thousands of packets that mean nothing, over both transports; each counts in the message rate."""
    frames = build(TEXT, b"6", mask=MASK) * 1000
    packets = ["6"] * 4096

    async def one(number: int) -> None:
        if number % 2:
            async with polling(enemy, 0, number) as sid:
                status = 200
                while sid and status == 200 and enemy.going_on:
                    enemy.damage.sent += len(packets)
                    status = (await enemy.ask(post(sid, *packets), address=number)).status
            return
        async with websocket(enemy, 0, number) as peer:
            while peer is not None and enemy.going_on:
                peer.write(frames)
                enemy.damage.sent += 1000
                async with asyncio.timeout(0.5):
                    await peer.writer.drain()
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)

    await enemy.storm(one, at_once=5)


NESTED: Final = "[" * 400_000
BROKEN_PACKETS: Final = {
    "x": 1002,
    "": 1002,
    "9": 1002,
    "4": 1002,
    "4x": 1002,
    "42": 1002,
    "42{}": 1002,
    "42[": 1002,
    '42["x"': 1002,
    "42[1]": 1002,
    "42[NaN]": 1002,
    f'42["x",{NESTED}': 1002,
    f'42["x",{NESTED}{"]" * 400_000}]': 1002,
    '40{"token":"twice"}': 1002,
    "43": 1002,
    '0{"sid":"x"}': 1002,
    "bAAAA": 1002,
    "4" + "9" * 5_000: 1002,
    f'42["x","{"y" * (1 << 20)}"]': 1009,
}
"""Packets, and the close code that their sender gets."""


@attack(BROKEN, rest=45)
async def broken_packets(enemy: Enemy) -> None:
    """Connected clients send packets that are cut, nested, huge or not theirs to send: each loses its own connection."""
    kinds = list(BROKEN_PACKETS.items())

    async def one(number: int) -> None:
        packet, code = kinds[number % len(kinds)]
        async with websocket(enemy, number, number // 5) as peer:
            if peer is not None:
                enemy.send(peer, TEXT, packet.encode())
                got = await closed_with(peer)
                enemy.check(got == code, f"{packet[:20]!r} ({len(packet)} bytes) was answered with {got}")

    await enemy.storm(one, at_once=20)


@attack(BROKEN, rest=45)
async def huge_posts(enemy: Enemy) -> None:
    """Clients post more than a message may have, or more packets than a body may have: 413 or 400, and the connection ends."""

    async def one(number: int) -> None:
        address = number // 5
        async with polling(enemy, number, address) as sid:
            if not sid:
                return
            bodies = (
                post(sid, "4" + "x" * (1 << 20)),
                post(sid, *["6"] * 4097),
                post(sid, "6", length=1 << 40),
                post(sid, "6", "", "6"),
            )
            enemy.expect(await enemy.ask(bodies[number % len(bodies)], address=address), 400, 413)
            enemy.damage.sent += 1
            enemy.expect(await enemy.ask(post(sid, "6"), address=address), 400)

    await enemy.storm(one, at_once=20)


@attack(BUSY, rest=45)
async def large_events(enemy: Enemy) -> None:
    """Clients send events of a megabyte, one after the other.

    Those with many values take long to read, and are then refused for an argument too many, so that Studio, which does not
    read in slices, is not what the neighbours wait for.
    """
    lists = json.dumps(["x", [[number, {"a": "b"}] for number in range(50_000)], "one too many"])
    events = [f"42{text}" for text in (lists, json.dumps(["x", "y" * 1_000_000]))]

    async def one(number: int) -> None:
        async with websocket(enemy, number, number // 5) as peer:
            while peer is not None and enemy.going_on:
                enemy.send(peer, TEXT, events[number % 2].encode())
                async with asyncio.timeout(enemy.seconds):
                    await peer.writer.drain()
                await peer.read_message()

    await enemy.storm(one, at_once=4)
