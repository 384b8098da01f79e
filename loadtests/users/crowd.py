"""The users of one process, and what they share: the system they load, their tokens, and what counts them.

Whoever directs a run, in this process or on Locust's master, gives a crowd its part and its orders in Locust's messages,
and gets everything it has counted in reports.
"""

from __future__ import annotations

import gc
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import gevent
from locust import User
from locust.env import Environment
from locust.runners import Runner

from loadtests.common.run import Path
from loadtests.runs.recorder import Recorder
from loadtests.runs.sampling import watch_client
from loadtests.stack import System
from loadtests.users.tokens import Tokens, address

JOIN: Final = "join"
ORDER: Final = "order"
REPORT: Final = "counted"
"""The messages: a crowd's part of a run; an order and its number; a report, with the last order that was obeyed."""

REPORT_SECONDS: Final = 0.25

SETTLE: Final = "settle"
MEASURE: Final = "measure"
STOP_MEASURING: Final = "stop measuring"
MOVE: Final = "move to the second gateway"
LEAVE: Final = "leave"
LEAVE_AT_ONCE: Final = "leave at once"
"""Orders for a crowd; any other is for its users."""


class Crowd:
    """The users of this process; Locust's runner brings the messages."""

    def __init__(self, environment: Environment, runner: Runner) -> None:
        self.joined = False  # whether it has got its part of a run
        self._environment = environment
        self._runner = runner
        self._greenlets: list[gevent.Greenlet] = []
        environment.crowd = self  # type: ignore[attr-defined]  # where its users find it
        environment.events.request.add_listener(self._request)  # type: ignore[no-untyped-call]  # Locust's
        runner.register_message(JOIN, lambda msg, **_: self._join(msg.data))
        runner.register_message(ORDER, lambda msg, **_: gevent.spawn(self._obey, *msg.data))

    def _join(self, part: Mapping[str, Any]) -> None:
        """Begin a run, with the part of it that `Director` has for this process."""
        gevent.killall(self._greenlets)
        self.options = self._environment.parsed_options or Namespace()
        self.joined = True
        self.everyone: int = part["everyone"]  # how many users all workers have together
        self.users: list[Any] = []  # all that were ever here in this run; WebSocketUser imports this module
        self.recorder = Recorder()
        self.system = System(part["gateways"], studios=part["studios"])
        self.gateway_url = self.system.gateways[0]
        self._tokens = Tokens(*part["tokens"])
        self._numbers: Counter[type[User]] = Counter()
        self._position: int = part["position"]
        self._workers: int = part["workers"]
        self._obeyed = 0
        self._greenlets = [
            gevent.spawn(watch_client, self.recorder),
            gevent.spawn(self._report_again_and_again),
        ]

    def _request(self, **request: Any) -> None:
        self.recorder.request(**request)  # each run has another

    def add(self, user: User) -> tuple[int, int]:
        """Add a user; return its number among the users of its class, and its account, each from 0."""
        self.users.append(user)
        number = self._numbers[type(user)]
        self._numbers[type(user)] += 1
        return number, len(self.users) - 1

    def overall(self, number: int) -> int:
        """Return a user's number among the users of all workers."""
        return self._position + self._workers * number

    def address(self, path: Path, account: int) -> tuple[str, dict[str, str]]:
        """Return where an account connects to, and the headers of its handshake."""
        return address(path, account, self.system, self._tokens, gateway=self.gateway_url)

    def _obey(self, order: str, number: int) -> None:
        if order == SETTLE:
            gc.collect()
            gc.freeze()  # users and sockets stay, so no collection need look at them again
        elif order == MEASURE:
            self.recorder.measure()
        elif order == STOP_MEASURING:
            self.recorder.measuring = False
        elif order == MOVE:
            self.gateway_url = self.system.gateways[1]
        elif order in {LEAVE, LEAVE_AT_ONCE}:
            if order == LEAVE_AT_ONCE:
                self._environment.stop_timeout = 0.0
            self._runner.stop()
        else:
            for user in self.users:
                user.obey(order)
        self._obeyed = number
        self._report()

    def _report_again_and_again(self) -> None:
        while True:
            gevent.sleep(REPORT_SECONDS)
            self._report()

    def _report(self) -> None:
        sums: Counter[str] = Counter()
        for user in self.users:
            sums.update(user.totals())
        self.recorder.totals.update(sums)
        self._runner.send_message(REPORT, [self._obeyed, self.recorder.as_message()])
