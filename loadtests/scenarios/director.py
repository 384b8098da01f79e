"""Direct the crowd of a scenario, whether its users are in this process or in Locust's workers."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any, Final

import gevent
from locust.env import Environment
from locust.runners import STATE_RUNNING, MasterRunner

from loadtests.common.errors import LoadTestError
from loadtests.common.run import Event, Figure
from loadtests.runs.recorder import Recorder
from loadtests.stack.asking import studio_connections
from loadtests.users.crowd import LEAVE, LEAVE_AT_ONCE, MEASURE, SETTLE, STOP_MEASURING, Crowd

SETTLE_SECONDS: Final = 2.0
"""How long the crowd settles after the ramp, before anything is measured."""

LOOK_SECONDS: Final = 0.02

ORDER: Final = "order"
"""The message from the master that tells a worker's crowd what to do: `[order, its number]`."""

OBEY_SECONDS: Final = 60.0
"""How long the workers may take to do what they are told."""


class StoppedError(LoadTestError):
    """The scenario cannot go on; says what was not reached."""


class Director:
    """What a scenario does things with.

    Args:
        environment: Locust's.
        crowd: this process's; on a master it has no users.
        seconds: how long the scenario goes on after the ramp.

    Attributes:
        seconds: see above.
        options: the run's.
        left: whether the users were told to leave.
        reports: on a master, the latest report of each worker: what it counted, and the last order it has obeyed.
        events: what was done to the system.
        figures: the scenario's own results.
        studios: connections on each Studio at the height of the run, if the gateway tells.
    """

    def __init__(self, environment: Environment, crowd: Crowd, seconds: float) -> None:
        self.seconds = seconds
        self.crowd = crowd
        self.system = crowd.system
        self.options: Namespace = crowd.options
        self.left = False
        self.reports: dict[str, tuple[Mapping[str, Any], int]] = {}
        self.events: list[Event] = []
        self.figures: dict[str, Figure] = {}
        self.studios: dict[str, int] = {}
        assert environment.runner is not None  # noqa: S101 - Locust has one before a test starts
        self._runner = environment.runner
        self._workers = len(self._runner.clients) if isinstance(self._runner, MasterRunner) else 0
        self._orders = 0
        self._merged: tuple[int, Recorder] = (0, Recorder())
        self._reports_seen = 0
        self._began = time.monotonic()

    @property
    def at(self) -> float:
        """Seconds since the start of the run."""
        return time.monotonic() - self._began

    @property
    def remote(self) -> bool:
        """Whether the users are in other processes."""
        return self._workers > 0

    def report(self, worker: str, counted: Mapping[str, Any], obeyed: int) -> None:
        """Take a worker's report."""
        self.reports[worker] = counted, obeyed
        self._reports_seen += 1

    def counted(self) -> Recorder:
        """Return everything counted until now, by all workers."""
        if not self._workers:
            return self.crowd.counted()
        if self._merged[0] != self._reports_seen:
            merged = Recorder.merged(counted for counted, _ in self.reports.values())
            self._merged = self._reports_seen, merged
        return self._merged[1]

    def order(self, what: str) -> None:
        """Have every user do something, and wait until all were told; see `Crowd.obey`.

        Raises:
            StoppedError: a worker did not do it.
        """
        if not isinstance(self._runner, MasterRunner):
            self.crowd.obey(what)
            return
        self._orders += 1
        number = self._orders
        self._runner.send_message(ORDER, [what, number])  # type: ignore[arg-type]  # Locust takes whatever msgpack does
        self.until(
            lambda _: sum(obeyed >= number for _, obeyed in self.reports.values()) >= self._workers,
            f"{what!r} done by all workers",
            within=OBEY_SECONDS,
        )

    def until(self, fits: Callable[[Recorder], bool], what: str, *, within: float | None = None) -> float:
        """Wait until something is true; return how many seconds that took.

        Args:
            fits: asked again and again, with everything counted until then.
            what: names it in the error.
            within: seconds; None takes the option --within.

        Raises:
            StoppedError: it did not become true in time, or a worker is gone.
        """
        within = within or float(self.options.within)
        began = time.monotonic()
        while not fits(self.counted()):
            if time.monotonic() - began > within:
                raise StoppedError(f"not {what} within {within:g} s: {self._state()}")
            if isinstance(self._runner, MasterRunner) and self._runner.worker_count < self._workers:
                raise StoppedError(f"not {what}: one of {self._workers} workers is gone")
            gevent.sleep(LOOK_SECONDS)
        return time.monotonic() - began

    def _state(self) -> str:
        """Say how many are connected, and what failed most often."""
        counted = self.counted()
        state = f"{counted.connections} of {self._runner.user_count} are connected"
        return "; ".join(
            [state, *(f"{each.name}: {each.reason} ({each.count})" for each in counted.failures()[:1])]
        )

    def ramp(self) -> None:
        """Wait until Locust has started all users."""
        while self._runner.state != STATE_RUNNING:
            gevent.sleep(LOOK_SECONDS)

    def connect(self, count: int) -> None:
        """Wait until so many users are connected, and let the crowd settle."""
        self.ramp()
        self.until(lambda counted: counted.connections >= count, "all connected")
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
        while self.counted().awaited:  # each has a time-out of its own
            gevent.sleep(LOOK_SECONDS)
        self.studios = studio_connections(self.crowd.gateway_url)

    def rest(self, seconds: float) -> None:
        """Let the users go on for so long."""
        gevent.sleep(seconds)

    def leave(self, *, at_once: bool = False) -> None:
        """Let every user end what it is at and go; a scenario counts what the gateway closed before this.

        Args:
            at_once: end them where they are.
        """
        if not at_once:
            self.event("the end: all users leave")
        self.left = True
        self.order(LEAVE_AT_ONCE if at_once else LEAVE)

    def event(self, what: str) -> None:
        """Note that something was done to the system."""
        self.events.append(Event(round(self.at, 3), what))

    def figure(self, name: str, value: float, unit: str = "") -> None:
        """Set a result of the scenario's own."""
        self.figures[name] = Figure(name, value, unit)
