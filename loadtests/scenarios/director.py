"""Direct the crowds of a run, whether they are in this process or in Locust's workers."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any, Final

import gevent
from locust.runners import STATE_RUNNING, MasterRunner, Runner

from loadtests.common.errors import LoadTestError
from loadtests.common.run import Event
from loadtests.runs.recorder import AWAITED, CONNECTIONS, Recorder
from loadtests.stack import System, studio_connections
from loadtests.users.crowd import JOIN, LEAVE, LEAVE_AT_ONCE, MEASURE, ORDER, SETTLE, STOP_MEASURING
from loadtests.users.tokens import Tokens

SETTLE_SECONDS: Final = 2.0
"""How long the crowd settles after the ramp, before anything is measured."""

LOOK_SECONDS: Final = 0.02

OBEY_SECONDS: Final = 60.0
"""How long the workers may take to do what they are told."""


class StoppedError(LoadTestError):
    """The scenario cannot go on; says what was not reached."""


class Director:
    """Tells the users what to do, and has what they count; `seconds` is how long the scenario goes on after the ramp."""

    def __init__(
        self, runner: Runner, options: Namespace, system: System, tokens: Tokens, seconds: float
    ) -> None:
        self.options = options
        self.system = system
        self.seconds = seconds
        self.events: list[Event] = []  # what was done to the system
        self.figures: dict[str, float] = {}  # the scenario's own results, by name
        self.studios: dict[str, int] = {}  # connections on each at the run's height, if the gateway tells
        self.left = False  # whether the users were told to leave
        self._runner = runner
        self._workers = list(runner.clients) if isinstance(runner, MasterRunner) else ["local"]
        self._reports: dict[str, tuple[int, Any]] = {}
        self._orders = 0
        self._counted: Recorder | None = None
        self._began = time.monotonic()
        for position, worker in enumerate(self._workers):
            part = {
                "position": position,
                "workers": len(self._workers),
                "everyone": options.num_users,
                "tokens": tokens.share(position, len(self._workers)),
                "gateways": system.gateways,
                "studios": system.studios,
            }
            runner.send_message(JOIN, part, worker)

    @property
    def at(self) -> float:
        """Seconds since the start of the run."""
        return time.monotonic() - self._began

    def report(self, worker: str, obeyed: int, counted: Any) -> None:
        """Take a worker's report of everything it has counted, and of the last order it has obeyed."""
        self._reports[worker] = obeyed, counted
        self._counted = None

    def counted(self) -> Recorder:
        """Return everything that all workers have counted."""
        if self._counted is None:
            self._counted = Recorder()
            for _, counted in self._reports.values():
                self._counted.merge(counted)
        return self._counted

    def order(self, what: str) -> None:
        """Have every user do something, and wait until it is done."""
        self._orders += 1
        number = self._orders
        self._runner.send_message(ORDER, [what, number])
        self.until(
            lambda _: sum(obeyed >= number for obeyed, _ in self._reports.values()) >= len(self._workers),
            f"told all workers to {what}",
            within=OBEY_SECONDS,
        )

    def until(self, fits: Callable[[Recorder], bool], what: str, *, within: float | None = None) -> float:
        """Wait until what was counted `fits`; return how many seconds that took.

        It must fit `within` so many seconds, by default those of --within, and no worker may be gone until then.
        """
        within = within or float(self.options.within)
        began = time.monotonic()
        while not fits(self.counted()):
            if time.monotonic() - began > within:
                raise StoppedError(f"not {what} within {within:g} s: {self._state()}")
            if isinstance(self._runner, MasterRunner) and self._runner.worker_count < len(self._workers):
                raise StoppedError(f"not {what}: one of {len(self._workers)} workers is gone")
            gevent.sleep(LOOK_SECONDS)
        return time.monotonic() - began

    def _state(self) -> str:
        counted = self.counted()
        state = f"{counted.totals[CONNECTIONS]:.0f} of {self._runner.user_count} are connected"
        worst = [f"{each.name}: {each.reason} ({each.count})" for each in counted.failures()[:1]]
        return "; ".join([state, *worst])

    def ramp(self) -> None:
        """Wait until Locust has started all users."""
        while self._runner.state != STATE_RUNNING:
            gevent.sleep(LOOK_SECONDS)

    def connect(self, count: int, reached: str = CONNECTIONS) -> None:
        """Wait until so many users are connected, or whatever else is counted, and let the crowd settle."""
        self.ramp()
        words = "all connected" if reached == CONNECTIONS else f"all {reached}"
        self.until(lambda counted: counted.totals[reached] >= count, words)
        self.event(f"{count} connections are open")
        self.settle()

    def settle(self) -> None:
        """Let what the ramp has left behind pass, before anything is measured."""
        self.order(SETTLE)
        gevent.sleep(SETTLE_SECONDS)

    def measure(self, seconds: float) -> None:
        """Let what is sent for so long count for the latencies, and wait for its replies.

        A gateway that stands still when the time is over must not get away with it.
        """
        self.order(MEASURE)
        gevent.sleep(seconds)
        self.order(STOP_MEASURING)
        while self.counted().totals[AWAITED]:  # each has a time-out of its own
            gevent.sleep(LOOK_SECONDS)
        self.studios = studio_connections(self.system.gateways[0])

    def leave(self) -> None:
        """Let every user end what it is at and go; what the gateway closed is counted before this."""
        self.event("the end: all users leave")
        self.left = True
        self.order(LEAVE)

    def leave_at_once(self) -> None:
        """End every user where it is."""
        self.left = True
        self.order(LEAVE_AT_ONCE)

    def event(self, what: str) -> None:
        """Note that something was done to the system."""
        self.events.append(Event(round(self.at, 3), what))
