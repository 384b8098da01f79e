"""Attacks with messages: more than the rate allows, and answers that nobody reads."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from tests.attack.enemy import Enemy, attack, stop_reading

from memmie_harness.conformance.peers import TEXT, Peer

TOO_MANY: Final = "one user sends too many messages"
SLOW_RECEIVER: Final = "a slow receiver fills the memory"

RATE: Final = 100
BURST: Final = 200
MANY: Final = 2_000


def numbered(peer: Peer, count: int, start: int = 0) -> bytes:
    """Build so many heartbeats."""
    texts = (json.dumps({"id": str(number), "type": "heartbeat"}) for number in range(start, start + count))
    return b"".join(peer.frame(TEXT, text) for text in texts)


@attack(TOO_MANY, seconds=20, rest=40)
async def many_messages_at_once(enemy: Enemy) -> None:
    """A client sends 2,000 messages in one write: all reach Studio and are answered, at the pace of the quota."""
    count = min(MANY, int(RATE * (enemy.seconds - 2)))
    async with enemy.connected() as peer:
        began = asyncio.get_running_loop().time()
        peer.write(numbered(peer, count))
        enemy.damage.sent = count
        answers = [json.loads((await peer.read_message())[1])["id"] for _ in range(count)]
        took = asyncio.get_running_loop().time() - began
    enemy.check(
        answers == [str(number) for number in range(count)], "the answers are not those of all messages"
    )
    soonest = (count - 2 * BURST) / RATE
    enemy.check(took > 0.9 * soonest, f"{count} messages took {took:.1f} s instead of {soonest:.1f} s")
    await enemy.rest()


@attack(TOO_MANY, rest=45)
async def reconnecting_flooder(enemy: Enemy) -> None:
    """One user sends 500 messages, leaves, and connects again from another address, ten times a second.

    At most twice the quota reaches Studio: what a connection leaves behind is in debt, and holds the next one.
    """
    began = asyncio.get_running_loop().time()

    async def one(number: int) -> None:
        async with enemy.connected(0, number) as peer:
            if peer.head.status == 101:
                peer.write(numbered(peer, 500))
                enemy.damage.sent += 500
                await peer.writer.drain()
            await asyncio.sleep(0.1)

    await enemy.storm(one, at_once=5)
    arrived = len(await enemy.at_studio("message"))
    seconds = asyncio.get_running_loop().time() - began
    most = 2 * (BURST + RATE * seconds)
    enemy.check(arrived <= most, f"{arrived} messages reached Studio in {seconds:.1f} s")


@attack(SLOW_RECEIVER)
async def unread_answers(enemy: Enemy) -> None:
    """Clients ask for large answers and read nothing; the gateway stops to read from Studio, and then from them."""
    question = json.dumps(
        {"type": "create_blob", "data": {"processor_id": "p", "schema_id": "s", "data": "x" * 30_000}}
    )

    async def one(number: int) -> None:
        async with enemy.connected(number, number // 5, receive_buffer=4096) as peer:
            stop_reading(peer)
            while peer.head.status == 101 and enemy.going_on:
                enemy.send(peer, TEXT, question.encode())
                async with asyncio.timeout(enemy.seconds):
                    await peer.writer.drain()
                await asyncio.sleep(0.1)

    await enemy.storm(one, at_once=20)
