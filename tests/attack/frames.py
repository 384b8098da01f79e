"""Attacks with frames: broken ones, half ones, endless ones, and far too many."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from tests.attack.enemy import Enemy, attack
from tests.net.test_bad_frames import CLIENT_VIOLATIONS
from tests.net.wire import BINARY, CLOSE, CONT, MASK, PING, TEXT, Peer, build, close_body

BROKEN: Final = "broken frames"
TOO_MANY: Final = "one user sends too many messages"
SILENT: Final = "a client is silent, or takes nothing"
LARGE: Final = "a message is too large"

MAX_MESSAGE_BYTES: Final = 1 << 20


async def closed_with(peer: Peer) -> int:
    """Read until the Close frame, and return its code."""
    while (frame := await peer.read_frame()).opcode != CLOSE:
        pass
    return int.from_bytes(frame.payload[:2], "big")


@attack(BROKEN)
async def broken_frames(enemy: Enemy) -> None:
    """Unmasked frames, reserved bits and opcodes, lengths of 2^63, fragmented pings and more: each gets its code."""

    async def one(number: int) -> None:
        sent, code, _ = CLIENT_VIOLATIONS[number % len(CLIENT_VIOLATIONS)].values
        assert isinstance(sent, bytes)
        async with enemy.connected(number, number // 5) as peer:
            if peer.head.status == 101:
                peer.write(sent)
                got = await closed_with(peer)
                enemy.check(got == code, f"{CLIENT_VIOLATIONS[number % len(CLIENT_VIOLATIONS)].id}: {got}")

    await enemy.storm(one, at_once=50)


@attack(BROKEN)
async def garbage_in_mid_frame(enemy: Enemy) -> None:
    """Clients begin a frame and go on with noise, of which the first bytes are the rest of this frame."""

    async def one(number: int) -> None:
        rng = random.Random(number)  # noqa: S311 - noise
        async with enemy.connected(number, number // 5) as peer:
            if peer.head.status == 101:
                peer.write(peer.frame(BINARY, bytes(1000))[:500])
                await asyncio.sleep(0.01)
                # No long frame begins in it that the gateway would have to wait for.
                noise = (
                    bytes(500)
                    + build(0x3, rng.randbytes(50), mask=MASK)
                    + rng.randbytes(rng.randrange(5_000))
                )
                peer.write(noise)
                code = await closed_with(peer)
                enemy.check(code == 1002, f"noise was answered with {code}")

    await enemy.storm(one, at_once=50)


@attack(BROKEN)
async def invalid_text(enemy: Enemy) -> None:
    """Clients send text that is not UTF-8: it is Studio's to judge, and only this client's connection ends."""

    async def one(number: int) -> None:
        async with enemy.connected(number, number // 5) as peer:
            if peer.head.status == 101:
                enemy.send(peer, TEXT, b"\xc3\x28\xff" * 100)
                code = await closed_with(peer)
                enemy.check(code == 1007, f"invalid text was answered with {code}")

    await enemy.storm(one, at_once=50)


@attack(BROKEN)
async def close_and_go_on(enemy: Enemy) -> None:
    """Clients send a Close frame, and then a megabyte of messages: nothing behind the Close frame reaches Studio."""

    async def one(number: int) -> None:
        async with enemy.connected(number, number // 5) as peer:
            if peer.head.status == 101:
                peer.send(CLOSE, close_body(1000))
                enemy.send(peer, BINARY, bytes(1000), count=1000)
                code = await closed_with(peer)
                enemy.check(code == 1000, f"the Close frame was answered with {code}")

    await enemy.storm(one, at_once=20)
    messages = await enemy.at_studio("message")
    enemy.check(not messages, f"{len(messages)} messages arrived behind a Close frame")


@attack(SILENT)
async def half_frames(enemy: Enemy) -> None:
    """Hundreds of clients send half a frame, or the head of a frame of 2^62 bytes, and then nothing more."""

    async def one(number: int) -> None:
        async with enemy.connected(number, number // 5) as peer:
            if peer.head.status == 101:
                whole = peer.frame(BINARY, bytes(60_000))
                peer.write(
                    whole[:30_000] if number % 2 else b"\x82\xff" + (1 << 62).to_bytes(8, "big") + MASK
                )
                await enemy.rest()

    await enemy.storm(one, at_once=500)


@attack(LARGE)
async def large_messages(enemy: Enemy) -> None:
    """Messages of more than a megabyte, in one frame or in many fragments: 1009."""
    fragment = bytes(30_000)

    async def one(number: int) -> None:
        async with enemy.connected(number, number // 5) as peer:
            if peer.head.status != 101:
                return
            if number % 2:
                peer.write(peer.frame(BINARY, bytes(MAX_MESSAGE_BYTES + 1))[:100_000])
            else:
                peer.send(BINARY, fragment, fin=False)
                peer.write(peer.frame(CONT, fragment, fin=False) * 40)
            code = await closed_with(peer)
            enemy.check(code == 1009, f"a large message was answered with {code}")

    await enemy.storm(one, at_once=10)


async def flood(enemy: Enemy, frames: bytes, count: int, users: int = 1) -> None:
    """Let users, each with 5 connections, send these frames again and again; reconnect when the gateway closes."""

    async def one(number: int) -> None:
        user = number % users
        async with enemy.connected(user, user) as peer:
            if peer.head.status != 101:
                await asyncio.sleep(0.2)
                return
            while enemy.going_on:
                peer.write(frames)
                enemy.damage.sent += count
                async with asyncio.timeout(0.5):
                    await peer.writer.drain()
                await asyncio.sleep(0.02)

    await enemy.storm(one, at_once=5 * users)


@attack(TOO_MANY, rest=45)
async def ping_flood(enemy: Enemy) -> None:
    """One user sends a thousand pings at a time, all the time; pings are frames, and count as messages do."""
    await flood(enemy, build(PING, b"ping", mask=MASK) * 1000, 1000)


@attack(TOO_MANY, rest=45)
async def empty_messages(enemy: Enemy) -> None:
    """One user sends thousands of messages without a byte; what Studio has to answer is what the quota allows."""
    await flood(enemy, build(TEXT, mask=MASK) * 2000, 2000)


@attack(TOO_MANY, rest=45)
async def empty_fragments(enemy: Enemy) -> None:
    """Twenty users send one message that never ends, of fragments without a byte."""
    await flood(enemy, build(CONT, mask=MASK, fin=False) * 2000, 2000, users=20)


@attack(TOO_MANY)
async def one_byte_writes(enemy: Enemy) -> None:
    """Clients send every byte of a message in a packet of its own; the scanner keeps its state between two reads."""

    async def one(number: int) -> None:
        async with enemy.connected(number, number // 5) as peer:
            message = peer.frame(TEXT, b'{"id":"1","type":"heartbeat"}')
            while peer.head.status == 101 and enemy.going_on:
                for byte in message:
                    peer.write(bytes([byte]))
                    await asyncio.sleep(0.02)
                enemy.damage.sent += 1
                frame = await peer.read_frame()
                enemy.check(b'"ack"' in frame.payload, f"the answer is {frame.payload!r}")

    await enemy.storm(one, at_once=100)
