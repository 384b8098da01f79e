"""Attacks on who one is: other users' names in every spelling, and a user whom Studio refuses."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from tests.attack.auth import token_of
from tests.attack.enemy import Enemy, attack
from tests.net.wire import upgrade_request
from tests.unit.core.handshakes import FORGED, USER_ID

from memmie_harness import control_api

SPELLINGS: Final = "a client sets `X-User-ID`, or `user_id` in any spelling, percent-encoded or behind `;`"

SELECTED_FIELDS: Final = [name.decode() for name in FORGED if b"user" in name]


@attack(SPELLINGS)
async def other_users_names(enemy: Enemy) -> None:
    """Clients spell `user_id` in every way that a server might read, and set headers with another user's name.

    Studio sees only the user of the token.
    """

    async def one(number: int) -> None:
        spelling, separator = USER_ID[number % len(USER_ID)], "&;"[number % 2]
        target = f"/ws?a=1{separator}{spelling}=victim{separator}b=2&token={token_of(enemy.user(number))}"
        fields = [f"{name}: victim" for name in SELECTED_FIELDS]
        async with enemy.dial(number // 5) as peer:
            peer.write(upgrade_request(target=target, extra=fields))
            enemy.expect(await enemy.answer(peer), 101)

    await enemy.storm(one, at_once=30)
    for url in enemy.scene.studios:
        _, log = await asyncio.to_thread(control_api.call, url, "GET", "log?kind=request&path=/ws")
        enemy.check(b"victim" not in log, "Studio saw another user's name")


@attack("one user makes a backend look unhealthy")
async def a_user_whom_studio_refuses(enemy: Enemy) -> None:
    """A user connects again and again, and both Studios fail on this user alone, each time in another way.

    An error needs five users, and other failures a health check, before a Studio is unhealthy.
    """
    faults = ("error", "reset", "garbage", "refuse")
    scripted = []
    for number, fault in enumerate(faults):
        body = {"fault": fault, "route": "/ws", "user_id": enemy.user(number)}
        for url in enemy.scene.studios:
            status, text = await asyncio.to_thread(control_api.call, url, "POST", "faults", body)
            enemy.check(status == 201, text.decode())
            scripted.append((url, json.loads(text)["id"]))

    async def one(number: int) -> None:
        head = await enemy.ask(
            upgrade_request(token_of(enemy.user(number % len(faults)))), address=number // 10
        )
        enemy.check(head.status in (429, 502, 503), head.first_line)
        await asyncio.sleep(0.1)

    await enemy.storm(one, at_once=10)
    for url, fault_id in scripted:
        await asyncio.to_thread(control_api.call, url, "DELETE", f"faults/{fault_id}")
