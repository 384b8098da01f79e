"""The users of this process, and what they share: the system they load, their tokens, and what counts them."""

from __future__ import annotations

import gc
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from locust import User
from locust.env import Environment

from loadtests.common.run import GATEWAY, Path
from loadtests.runs.recorder import Recorder
from loadtests.stack.system import System
from loadtests.users.tokens import Tokens

SETTLE: Final = "settle"
MEASURE: Final = "measure"
STOP_MEASURING: Final = "stop measuring"
MARK: Final = "mark"
CUT: Final = "cut"
PUBLISH: Final = "publish"
STOP_PUBLISHING: Final = "stop publishing"
MISBEHAVE: Final = "misbehave"
LEAVE: Final = "leave"
LEAVE_AT_ONCE: Final = "leave at once"
"""What a crowd can be told to do, by the scenario in this process or on the master."""

Numbers = Callable[[Sequence[User]], Mapping[str, float]]
"""Computes numbers of a scenario's own from its users."""


class Crowd:
    """The users of one process.

    Args:
        environment: Locust's.
        system: what they load.
        tokens: what they authenticate with.
        totals: numbers that are added up over the processes of a run.
        most: numbers of which the greatest of all processes counts.
        position: which worker this is, from 0.
        workers: how many there are; 1 if this process does everything.

    Attributes:
        users: all users that were ever here.
        recorder: counts them.
        gateway_url: where they connect to; a scenario may move them to another gateway.
    """

    def __init__(
        self,
        environment: Environment,
        system: System,
        tokens: Tokens,
        *,
        totals: Numbers,
        most: Numbers,
        position: int = 0,
        workers: int = 1,
    ) -> None:
        options = environment.parsed_options
        self.options: Namespace = options if options is not None else Namespace()
        self.system = system
        self.tokens = tokens
        self.users: list[User] = []
        self.recorder = Recorder()
        self.gateway_url = system.gateways[0]
        self._environment = environment
        self._totals = totals
        self._most = most
        self._numbers: Counter[type[User]] = Counter()
        self._position = position
        self._workers = workers
        if (earlier := getattr(environment, "crowd", None)) is not None:
            environment.events.request.remove_listener(earlier.recorder.request)
        environment.events.request.add_listener(self.recorder.request)
        environment.crowd = self  # type: ignore[attr-defined]  # where its users find it

    def add(self, user: User) -> tuple[int, int]:
        """Add a user; return its number among the users of its class, and among all, from 0."""
        self.users.append(user)
        number = self._numbers[type(user)]
        self._numbers[type(user)] += 1
        return number, len(self.users) - 1

    def overall(self, number: int) -> int:
        """Return a user's number among the users of all workers."""
        return self._position + self._workers * number

    def address(self, path: Path, account: int) -> tuple[str, dict[str, str]]:
        """Return where an account connects to, and the headers of its handshake.

        Through the gateway that is the token; straight to a Studio it is what a gateway would tell about the user.
        """
        if path == GATEWAY:
            return self.gateway_url, {"Authorization": f"Bearer {self.tokens.of(account)}"}
        user_id = self.tokens.user_id(account)
        studio = self.system.studios[account % len(self.system.studios)]
        return f"{studio}?user_id={quote(user_id, safe='')}", {"X-User-ID": user_id}

    def obey(self, order: str) -> None:
        """Do what the scenario says; see the orders above."""
        runner = self._environment.runner
        assert runner is not None  # noqa: S101 - Locust has one before it starts users
        if order == SETTLE:
            gc.collect()
            gc.freeze()  # users and sockets stay, so no collection need look at them again
        elif order == MEASURE:
            self.recorder.measure()
        elif order == STOP_MEASURING:
            self.recorder.stop_measuring()
        elif order in {LEAVE, LEAVE_AT_ONCE}:
            if order == LEAVE_AT_ONCE:
                self._environment.stop_timeout = 0.0
            runner.stop()
        else:
            for user in self.users:
                getattr(user, "obey")(order)  # noqa: B009 - every user here is a WebSocketUser

    def counted(self) -> Recorder:
        """Return everything counted until now, the scenario's own numbers included."""
        self.recorder.totals.update(self._totals(self.users))
        self.recorder.most.update(self._most(self.users))
        return self.recorder
