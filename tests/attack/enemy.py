"""What an attack has: addresses, tokens and raw connections, within the limits of the suite; and the list of attacks.

`attacks.py` performs them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.attack.auth import token_of

from memmie_harness import control_api
from memmie_harness.conformance.peers import TEXT, Head, Peer, upgrade_request

MOST: Final = 500
"""Limit of an attack: connects in a second, and open connections."""

LEAST: Final = 8
"""The same for one of many attacks at the same time."""

FAULTS_SHOWN: Final = 3

REST: Final = 10.0
"""Seconds until the gateway may be at rest after an attack, unless the attack says otherwise."""


@dataclass(frozen=True)
class Scene:
    """Where the services are.

    Attributes:
        port: of the gateway, on 127.0.0.1.
        studios: the HTTP address of each fake Studio.
    """

    port: int
    studios: tuple[str, ...]


@dataclass
class Damage:
    """What an attack has done, and what it has found wrong.

    Attributes:
        seconds: how long it took.
        connects: connections that were opened.
        most_open: connections that were open at the same time.
        cut: connections that ended while the attacker waited for something.
        sent: messages, or other things that the attack counts.
        statuses: how often each HTTP status came.
        failed: in words, what a control of the gateway should not have allowed.
    """

    seconds: float = 0.0
    connects: int = 0
    most_open: int = 0
    cut: int = 0
    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{self.connects / max(self.seconds, 0.1):.0f} connects/s", f"{self.most_open} open"]
        if self.sent:
            parts.append(f"{self.sent / max(self.seconds, 0.1):.0f} sent/s")
        if self.cut:
            parts.append(f"{self.cut} cut")
        parts += [f"{count} x {status}" for status, count in sorted(self.statuses.items())]
        return ", ".join(parts)


class Enemy:
    """One attack's means.

    Args:
        scene: where the services are.
        name: the attack, which is also the beginning of its users' names.
        number: the attack's number, which is part of its addresses.
        seconds: how long it may last.
        share: its part of the suite's limits, if several attacks run at the same time.
    """

    def __init__(self, scene: Scene, name: str, number: int, seconds: float, share: float = 1.0) -> None:
        self.scene = scene
        self.name = name
        self.seconds = seconds
        self.many = max(int(MOST * share), LEAST)
        self.damage = Damage()
        self._number = number
        self._places = asyncio.Semaphore(self.many)
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._next_connect = self._began
        self._open = 0

    # Who it is.

    def address(self, number: int = 0) -> str:
        """Return one of its addresses."""
        return f"127.{66 + self._number}.{number // 250 % 250}.{1 + number % 250}"

    def user(self, number: int = 0) -> str:
        """Return one of its users."""
        return f"{self.name}-{number}"

    # Time.

    @property
    def going_on(self) -> bool:
        """Whether it is not over."""
        return self._loop.time() < self._began + self.seconds

    async def rest(self) -> None:
        """Do nothing until it is over."""
        await asyncio.sleep(self._began + self.seconds - self._loop.time())

    async def storm(self, one: Callable[[int], Awaitable[None]], *, at_once: int) -> None:
        """Do something again and again until it is over; `one` gets a new number each time.

        A connection that the gateway cuts, refuses or does not answer is an attacker's daily bread.
        """
        numbers = itertools.count()

        async def again() -> None:
            while self.going_on:
                try:
                    await one(next(numbers))
                except (OSError, EOFError, TimeoutError, RuntimeError):  # uvloop's, for a write after the end
                    self.damage.cut += 1

        tasks = [asyncio.create_task(again()) for _ in range(min(at_once, self.many))]
        _, late = await asyncio.wait(tasks, timeout=self._began + self.seconds - self._loop.time())
        for task in late:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                self.check(False, repr(ended))  # noqa: FBT003 - what is checked has failed

    def ended(self) -> Damage:
        """Note that it has ended, and return the damage."""
        self.damage.seconds = self._loop.time() - self._began
        return self.damage

    # Connections.

    @contextlib.asynccontextmanager
    async def dial(self, address: int = 0, *, receive_buffer: int = 0) -> AsyncIterator[Peer]:
        """Open a connection from one of its addresses, and reset it at the end of the block."""
        async with self._places:
            now = self._loop.time()
            self._next_connect = max(self._next_connect, now) + 1 / self.many
            await asyncio.sleep(self._next_connect - now)
            peer = await Peer.connect(
                self.scene.port, receive_buffer=receive_buffer, source=self.address(address)
            )
            self._open += 1
            self.damage.connects += 1
            self.damage.most_open = max(self.damage.most_open, self._open)
            try:
                yield peer
            finally:
                self._open -= 1
                if not peer.writer.is_closing():
                    peer.reset()

    async def answer(self, peer: Peer) -> Head:
        """Read the answer to a request."""
        head = await peer.read_head()
        self.damage.statuses[head.status] += 1
        return head

    async def ask(self, *pieces: bytes, address: int = 0) -> Head:
        """Send a request, in so many writes, and return its answer."""
        async with self.dial(address) as peer:
            for piece in pieces:
                peer.write(piece)
                await asyncio.sleep(0)
            return await self.answer(peer)

    @contextlib.asynccontextmanager
    async def connected(
        self, user: int = 0, address: int = 0, *, token: str = "", receive_buffer: int = 0, **request: Any
    ) -> AsyncIterator[Peer]:
        """Ask for a WebSocket; the status of the answer may be another than 101."""
        async with self.dial(address, receive_buffer=receive_buffer) as peer:
            peer.write(upgrade_request(token or token_of(self.user(user)), **request))
            await self.answer(peer)
            yield peer

    def send(self, peer: Peer, opcode: int = TEXT, payload: bytes = b"", count: int = 1) -> None:
        """Send so many frames in one write."""
        peer.write(peer.frame(opcode, payload) * count)
        self.damage.sent += count

    # What must be true.

    def check(self, holds: bool, words: str) -> None:  # noqa: FBT001 - the only argument that matters
        """Note what should not have been possible."""
        if not holds and words not in self.damage.failed and len(self.damage.failed) < FAULTS_SHOWN:
            self.damage.failed.append(words)

    def expect(self, head: Head, *statuses: int) -> None:
        """See that an answer is one of these, or that the rate or the number of connections is limited."""
        self.check(
            head.status in (*statuses, 429), f"{head.first_line} instead of {' or '.join(map(str, statuses))}"
        )

    async def metrics(self, *accept: str) -> str:
        """Return the text of `/metrics`, asked for from an address of its own."""
        fields = "".join(f"Accept: {value}\r\n" for value in accept)
        request = f"GET /metrics HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode()
        return (await self.ask(request, address=60_000)).body.decode()

    async def at_studio(self, kind: str, user: int = 0) -> list[dict[str, Any]]:
        """Return what the Studios have noted about a user."""
        found = []
        for url in self.scene.studios:
            route = f"log?kind={kind}&user_id={self.user(user)}"
            _, body = await asyncio.to_thread(control_api.call, url, "GET", route)
            found += json.loads(body)["entries"]
        return found


def stop_reading(peer: Peer) -> None:
    """Let a client read nothing any more."""
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined] # it is a read transport, too


Act = Callable[[Enemy], Awaitable[None]]


@dataclass(frozen=True)
class Attack:
    """An attack.

    Attributes:
        act: does it; the docstring says what the attacker does, and what protects the others.
        threat: the row of docs/threat-model.md with the control that protects the others.
        settings: settings of the gateway that it needs; all others have their defaults.
        seconds: how long it must last at least.
        rest: seconds until the gateway may be at rest after it.
    """

    act: Act
    threat: str
    settings: Mapping[str, str]
    seconds: float
    rest: float


ATTACKS: Final[dict[str, Attack]] = {}
"""All attacks by name; `attacks.py` imports their modules."""


def attack(
    threat: str, *, settings: Mapping[str, str] | None = None, seconds: float = 0, rest: float = REST
) -> Callable[[Act], Act]:
    """Add a function to the attacks."""

    def add(act: Act) -> Act:
        name = act.__name__.replace("_", "-")
        ATTACKS[name] = Attack(act, threat, settings or {}, seconds, rest)
        return act

    return add
