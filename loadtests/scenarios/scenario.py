"""What a scenario is: users, what happens to them, and the figures that show it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from typing import ClassVar, Final

from loadtests.common.run import GATEWAY, WHOLE, Figure, Run, Setting
from loadtests.common.units import shown
from loadtests.runs.recorder import MOST_CONNECTIONS
from loadtests.runs.sampling import BUSIEST, CLIENT_CPU, CLIENT_FIGURES, CLIENT_SECONDS, LATE, Timeline
from loadtests.runs.thresholds import metric_names
from loadtests.scenarios.director import Director

VERSIONS: Final = ("locust", "gevent", "websockets")

OURS: Final = "memmie-gateway"


class Scenario(ABC):
    """One load scenario; the docstring of its locustfile is its help, and its options are in options.toml."""

    connections: ClassVar[int] = 1000  # the number of users unless -u says otherwise
    seconds: ClassVar[float] = 60  # how long it goes on after the ramp unless --seconds or -t says otherwise
    timed: ClassVar[bool] = True  # whether it lasts for so long; else it ends when its work is done
    measured: ClassVar[str] = "after the ramp"  # when latencies count: follows on how long that is
    part: ClassVar[int] = 1  # latencies count for one in so many parts of the time
    pinned: ClassVar[bool] = True  # whether the gateway has a core for itself unless --no-pin is given
    distributed: ClassVar[bool] = False  # whether it can run with --master and --worker
    gateways: ClassVar[int] = 1  # of a stack of its own
    # Options that a system that runs already needs: how many of each, and how to ask for it.
    needs: ClassVar[Mapping[str, tuple[int, str]]] = {}
    latencies: ClassVar[tuple[str, ...]] = (GATEWAY,)  # of `gateway`, `direct` and `overhead`
    # Results by name, with their units: what users count (0 if there was nothing to count), and what `run` sets.
    counts: ClassVar[Mapping[str, str]] = {}
    figures: ClassVar[Mapping[str, str]] = {}

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return type(self).__name__.lower()

    @property
    def teaches(self) -> str:
        """What it shows, what happens, and what its figures mean."""
        return (sys.modules[type(self).__module__].__doc__ or "").strip()

    @property
    def about(self) -> str:
        """What it shows, in one sentence."""
        return self.teaches.partition("\n")[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of everything that thresholds may be about."""
        return metric_names(self.latencies, (*self.counts, *self.figures, *CLIENT_FIGURES))

    def prepare(self, _: Namespace) -> None:  # noqa: B027 - most scenarios have only one class
        """Set how many users of each class there are, if there is more than one class."""

    def gateway_settings(self, _: Namespace) -> Mapping[str, object]:
        """Return settings for the gateways of a stack of its own, which else have limits that are never reached."""
        return {}

    def accounts(self, options: Namespace) -> int:
        """Return how many tokens it needs."""
        return int(options.num_users)

    @abstractmethod
    def run(self, director: Director) -> None:
        """Do to the users what the scenario is about, and set its figures."""

    def record(
        self,
        director: Director,
        timeline: Timeline,
        *,
        settings: Mapping[str, Setting],
        started: datetime,
        machine: dict[str, str | int],
        stopped: str,
    ) -> Run:
        """Return what a run has shown; `stopped` is why it could not go on, "" if it came to its end."""
        counted, system = director.counted(), director.system
        values = dict(director.figures)
        if watched := counted.totals[CLIENT_SECONDS]:
            client = {name: counted.most[name] for name in (BUSIEST, LATE)}
            values |= {CLIENT_CPU: counted.totals[CLIENT_CPU] / watched, **client}
        if not stopped:  # else what users counted was not all that was to come
            counts = {name: counted.totals.get(name, counted.most.get(name, 0.0)) for name in self.counts}
            values = {**counts, **values}
        units = {**self.counts, **self.figures, **CLIENT_FIGURES}
        took_part = VERSIONS if director.options.gateway else (*VERSIONS, OURS)
        return Run(
            scenario=self.name,
            about=self.about,
            started=started.isoformat(timespec="seconds"),
            seconds=round(director.at, 3),
            gateway_url=system.gateways[0],
            direct_url=system.studios[0] if system.studios else None,
            settings=settings,
            machine=machine,
            versions={name: version(name) for name in took_part},
            latencies=counted.latencies(),
            requests=counted.requests(),
            failures=counted.failures(),
            closes=dict(counted.closes),
            studios=director.studios,
            timeline=tuple(timeline.seconds),
            events=tuple(director.events),
            figures=tuple(Figure(name, values[name], unit) for name, unit in units.items() if name in values),
            measured=f"the {shown(director.seconds / self.part, 's')} {self.measured}"
            if self.timed
            else WHOLE,
            most_connections=int(counted.totals[MOST_CONNECTIONS]),
            stopped=stopped,
        )
