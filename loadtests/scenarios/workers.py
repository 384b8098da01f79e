"""Messages between Locust's master, which decides, and its workers, which have the users and report what they count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import gevent
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests.runs.sampling import ClientWatch, each_second
from loadtests.scenarios.console import CONSOLE
from loadtests.scenarios.director import ORDER, Director
from loadtests.scenarios.scenario import Scenario
from loadtests.stack.system import System
from loadtests.users.crowd import Crowd
from loadtests.users.tokens import Tokens

JOIN: Final = "join"
"""The message from the master that gives a worker its part of a run."""

REPORT: Final = "counted"
"""The message from a worker with everything it has counted, and the last order it has obeyed."""


def share_out(runner: MasterRunner, system: System, tokens: Tokens) -> None:
    """Give every worker its part, before Locust has it start users."""
    workers = list(runner.clients)
    for position, worker in enumerate(workers):
        part = {
            "position": position,
            "workers": len(workers),
            "tokens": tokens.share(position, len(workers)),
            "gateways": system.gateways,
            "studios": system.studios,
        }
        runner.send_message(JOIN, part, worker)


def take_reports(runner: MasterRunner, director: Callable[[], Director | None]) -> None:
    """Hand the workers' reports to whoever directs the run when they come."""

    def take(msg: Any, **_: object) -> None:
        if (current := director()) is not None:
            current.report(msg.node_id, *msg.data)

    runner.register_message(REPORT, take)


class Worker:
    """A process that only has users."""

    def __init__(self, scenario: Scenario, environment: Environment, runner: WorkerRunner) -> None:
        self._scenario = scenario
        self._environment = environment
        self._runner = runner
        self._crowd: Crowd | None = None
        self._obeyed = 0
        self._reporter: gevent.Greenlet | None = None
        runner.register_message(JOIN, self._join)
        runner.register_message(ORDER, self._order)

    def start(self) -> None:
        """Refuse to start users without a part in the run."""
        if self._crowd is None:
            CONSOLE.complain(
                "this worker came when the run had begun: start the master with --expect-workers N"
            )
            gevent.spawn(self._runner.quit)
            raise gevent.GreenletExit

    def _join(self, msg: Any, **_: object) -> None:
        if self._reporter is not None:
            self._reporter.kill()
        part, self._obeyed = msg.data, 0
        self._crowd = crowd = Crowd(
            self._environment,
            System(gateways=tuple(part["gateways"]), studios=tuple(part["studios"])),
            Tokens(*part["tokens"]),
            totals=self._scenario.totals,
            most=self._scenario.most,
            position=part["position"],
            workers=part["workers"],
        )
        if not self._scenario.timed:
            crowd.recorder.measure()
        watch = ClientWatch(crowd.recorder)

        def look(passed: float) -> None:
            watch.look(passed)
            self._report(crowd)

        self._reporter = gevent.spawn(each_second, look)

    def _order(self, msg: Any, **_: object) -> None:
        gevent.spawn(self._obey, *msg.data)

    def _obey(self, order: str, number: int) -> None:
        if self._crowd is not None:
            self._crowd.obey(order)
            self._obeyed = number
            self._report(self._crowd)

    def _report(self, crowd: Crowd) -> None:
        message = [crowd.counted().as_message(), self._obeyed]
        self._runner.send_message(REPORT, message)  # type: ignore[arg-type]  # msgpack takes lists, too
