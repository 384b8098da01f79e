"""The people of a chaos run: 200 users with a client and a witness each, and what is seen of them all together.

Every third client and every third witness speak Socket.IO, but never both of one user: a third of them with each
transport. Further users send HTTP requests only.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Final

from tests import socketio_connection
from tests.chaos.callers import EVERY_SECONDS as CALL_EVERY_SECONDS
from tests.chaos.callers import Caller
from tests.chaos.invariants import MOVED
from tests.chaos.stage import MESSAGE_RATE, Stage
from tests.chaos.witness import Witness
from tests.socketio_connection import Transport

from memmie_harness.client import connect
from memmie_harness.numbered import Connect, Crowd, Life, NumberedClient, Refusal

USERS: Final = 200
CALLERS: Final = 0.1
"""How many further users send HTTP requests, as a part of the others."""

PING_PATIENCE_SECONDS: Final = 15.0
"""How much longer than its library a client of Socket.IO waits for a ping: for longer than a gateway is frozen."""

EVERY_SECONDS: Final = 1.0
"""Between two messages of a client."""

HASTY: Final = 10
"""How many of the users send faster than their message rate, so that the gateways hold messages back."""
BURST: Final = 50
"""How many messages a hasty client sends at once."""
BURST_EVERY_SECONDS: Final = 3.5
"""Between two bursts; about as long as the quota needs for one, so that something waits half of the time."""

COME_SECONDS: Final = 3.0
"""In how many seconds the witnesses come. If all came with the clients, Auth would need too long on a slow machine."""

STAY_SECONDS: Final = 40.0
"""How long a client stays on average before it leaves and comes again, so that both gateways always have clients."""

HELD_SECONDS: Final = BURST / MESSAGE_RATE
"""How long the messages of a hasty client may wait for the quota."""


class Person:
    """A user with two connections.

    Attributes:
        client: sends numbered messages.
        witness: gets an event for each of them.
        may_wait: seconds for which messages wait although nothing is wrong.
    """

    def __init__(self, client: NumberedClient, witness: Witness, may_wait: float) -> None:
        self.client = client
        self.witness = witness
        self.may_wait = may_wait

    @property
    def user(self) -> str:
        """The user's id."""
        return self.client.user_id

    @property
    def lives(self) -> list[Life]:
        """The connections that the user itself did not end."""
        return [*(life for life in self.client.lives if not life.left), *self.witness.noticed]

    @property
    def refusals(self) -> list[Refusal]:
        """The attempts to connect that failed."""
        return [*self.client.refusals, *self.witness.refusals]

    @property
    def connected(self) -> bool:
        """Whether a Studio has answered on both connections."""
        return self.client.served and self.witness.life is not None and bool(self.witness.life.studio)

    @property
    def split(self) -> bool:
        """Whether the two connections are on two Studios now."""
        life = self.witness.life
        return self.connected and life is not None and life.studio != self.client.life.studio

    @property
    def moved(self) -> float:
        """When the user was last moved; minus infinity for never."""
        moves = (life.ended for life in self.lives if life.ended is not None and life.close == MOVED)
        return max(moves, default=float("-inf"))


def how_to_connect(index: int) -> Connect:
    """Return what opens the connections of a client: every third one speaks Socket.IO."""
    if index % 3:
        return connect
    transport = list(Transport)[index // 3 % 3]
    return functools.partial(socketio_connection.connect, transport=transport, patience=PING_PATIENCE_SECONDS)


class People:
    """All users. The two connections of each begin at different gateways.

    Args:
        stage: where they connect.
        rng: decides how long they stay.
        users: how many users there are, without the callers.

    Attributes:
        crowd: the clients.
        callers: those who send HTTP requests.
    """

    def __init__(self, stage: Stage, rng: random.Random, users: int = USERS) -> None:
        self._stage = stage
        self._rng = rng
        self._leaving = True
        self._everybody = [self._person(index) for index in range(users)]
        self.crowd = Crowd([person.client for person in self])
        callers = [f"caller-{index}" for index in range(round(users * CALLERS))]
        self.callers = [
            Caller(user, stage.token(user), self._rotation(at)) for at, user in enumerate(callers)
        ]

    def __iter__(self) -> Iterator[Person]:
        return iter(self._everybody)

    def _person(self, index: int) -> Person:
        user = f"user-{index}"
        token = self._stage.token(user)
        hasty = index < HASTY
        client = NumberedClient(
            user,
            token,
            self._rotation(index),
            every=BURST_EVERY_SECONDS if hasty else EVERY_SECONDS,
            window=BURST if hasty else 4,
            burst=BURST if hasty else 1,
            connect=how_to_connect(index),
        )
        witness = Witness(user, token, self._rotation(index + 1), self._own_rng(), how_to_connect(index + 1))
        return Person(client, witness, HELD_SECONDS if hasty else 0.0)

    def _own_rng(self) -> random.Random:
        """Return what decides for one user, whatever the others do."""
        return random.Random(self._rng.random())  # noqa: S311 - no secret depends on it

    def _rotation(self, first: int) -> Callable[[], str]:
        attempts = itertools.count(first)
        return lambda: self._stage.gateways[next(attempts) % len(self._stage.gateways)].ws_url

    async def come_and_go(self) -> None:
        """Let the witnesses connect, a little later than the clients, and everybody leave now and then; until cancelled."""
        async with asyncio.TaskGroup() as group:
            for caller in self.callers:
                group.create_task(caller.run(self._rng.uniform(0, CALL_EVERY_SECONDS)))
            for person in self:
                group.create_task(self._come(person.witness, self._own_rng()))
                group.create_task(self._leave(person.client, self._own_rng()))

    async def _come(self, witness: Witness, rng: random.Random) -> None:
        await asyncio.sleep(rng.uniform(0, COME_SECONDS))
        await witness.run()

    async def _leave(self, client: NumberedClient, rng: random.Random) -> None:
        while True:
            await asyncio.sleep(rng.uniform(0, 2 * STAY_SECONDS))
            if self._leaving:
                await client.leave()

    def stay(self) -> None:
        """Let nobody leave any more, and send no more HTTP requests."""
        self._leaving = False
        for caller in self.callers:
            caller.finish()
        for person in self:
            person.witness.stay()

    @property
    def all_came(self) -> bool:
        """Whether a Studio has answered each witness once."""
        return all(any(watch.life.studio for watch in person.witness.watches) for person in self)

    @property
    def together(self) -> bool:
        """Whether everybody is connected, and nobody is split."""
        return all(person.connected and not person.split for person in self)

    @property
    def split(self) -> set[str]:
        """The users who are split now."""
        return {person.user for person in self if person.split}

    @property
    def moved(self) -> dict[str, float]:
        """When each user was last moved."""
        return {person.user: person.moved for person in self}

    @property
    def ends(self) -> int:
        """How many connections have ended that the users did not end themselves."""
        return sum(life.ended is not None for person in self for life in person.lives)

    @property
    def moves(self) -> int:
        """How many of them were moved."""
        return sum(life.close == MOVED for person in self for life in person.lives)

    @property
    def acknowledged(self) -> int:
        """How many messages were acknowledged."""
        return sum(person.client.acknowledged for person in self)
