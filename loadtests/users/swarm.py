"""The users of a run: Locust's environment with what ours need, their ramp and their end."""

from __future__ import annotations

import gc
import itertools
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Final, TypeVar, cast

import gevent
from locust import User
from locust.env import Environment
from locust.runners import LocalRunner

from loadtests.runs.recorder import Recorder
from loadtests.stack.metrics import studio_connections
from loadtests.stack.system import System
from loadtests.users.tokens import Tokens

RAMP_PER_SECOND: Final = 250
"""New users a second."""

STOP_SECONDS: Final = 15.0
"""How long users may take to end what they are at, and to close."""

SETTLE_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.02

U = TypeVar("U", bound=User)


class SwarmError(Exception):
    """The scenario cannot go on; says what was not reached."""


class LoadEnvironment(Environment):
    """Locust's environment, and what every user of ours needs.

    Args:
        user_classes: the kinds of users.
        system: what they load.
        tokens: what lets them in.
        recorder: what counts them.
        options: the scenario's.
    """

    def __init__(
        self,
        user_classes: list[type[User]],
        *,
        system: System,
        tokens: Tokens,
        recorder: Recorder,
        options: Namespace,
    ) -> None:
        super().__init__(user_classes=user_classes, stop_timeout=STOP_SECONDS, parsed_options=options)
        self.options = options
        self.numbers = itertools.count()
        self.system = system
        self.tokens = tokens
        self.recorder = recorder
        self.gateway_url = system.gateways[0]
        self.events.request.add_listener(recorder.request)  # type: ignore[no-untyped-call]  # Locust's hooks have no types


class Swarm:
    """Users that come, stay and go."""

    def __init__(self, environment: LoadEnvironment) -> None:
        self.environment = environment
        self.recorder = environment.recorder
        self._runner: LocalRunner = environment.create_local_runner()

    def ramp(self, user_class: type[U], count: int, *, per_second: float = RAMP_PER_SECOND) -> list[U]:
        """Let so many users come, evenly spread over time, and return them."""
        began = time.monotonic()
        users: list[U] = []
        while len(users) < count:
            due = min(count, 1 + int((time.monotonic() - began) * per_second)) - len(users)
            if due > 0:
                users += cast("list[U]", self._runner.spawn_users({user_class.__name__: due}))
            gevent.sleep(1 / per_second)
        return users

    def until(self, fits: Callable[[], bool], what: str, *, within: float | None = None) -> float:
        """Wait until something is true; return how many seconds that took.

        Args:
            fits: asked again and again.
            what: names it in the error.
            within: seconds; None takes the option `--within`.

        Raises:
            SwarmError: it was not in time.
        """
        within = within or float(self.environment.options.within)
        began = time.monotonic()
        while not fits():
            if time.monotonic() - began > within:
                raise SwarmError(f"not {what} within {within:g} s: {self._state()}")
            gevent.sleep(LOOK_SECONDS)
        return time.monotonic() - began

    def _state(self) -> str:
        """Say how many are connected, and what failed most often."""
        state = f"{self.recorder.connections} of {self._runner.user_count} are connected"
        worst = self.recorder.failures()[:1]
        return "; ".join([state, *(f"{each.name}: {each.reason} ({each.count})" for each in worst)])

    def settle(self) -> None:
        """Let what the ramp has left behind pass, before anything is measured."""
        gc.collect()
        gc.freeze()  # users and sockets stay: no collection need look at them again
        gevent.sleep(SETTLE_SECONDS)

    def measure(self, seconds: float) -> None:
        """Let latencies count of what is sent for so long, and wait for its answers.

        A gateway that stands still when the time is over must not get away with it.
        """
        self.recorder.measure()
        gevent.sleep(seconds)
        self.recorder.stop_measuring()
        while self.recorder.awaited:  # each has a time-out of its own
            gevent.sleep(LOOK_SECONDS)
        self.recorder.studios = studio_connections(self.environment.gateway_url)

    def rest(self, seconds: float) -> None:
        """Let the users go on for so long."""
        gevent.sleep(seconds)

    def stop(self) -> None:
        """Let every user end what it is at, and go; that the connections become none is no news of the gateway."""
        self.recorder.event("the end: all users leave")
        self._runner.stop()

    def quit(self) -> None:
        """End everything at once."""
        self.environment.stop_timeout = 0.0
        self._runner.quit()
