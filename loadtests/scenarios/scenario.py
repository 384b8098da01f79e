"""What a scenario is: users, what happens to them, and the figures that show it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Mapping
from typing import ClassVar

from loadtests.common.run import GATEWAY, WHOLE
from loadtests.common.units import shown
from loadtests.runs.sampling import CLIENT_FIGURES
from loadtests.runs.thresholds import metric_names
from loadtests.scenarios.director import Director


class Scenario(ABC):
    """One load scenario; the docstring of its locustfile is its help, and its options are in options.toml.

    Attributes:
        connections: the number of users unless -u says otherwise; most have one connection.
        seconds: how long it goes on after the ramp unless --seconds or -t says otherwise.
        timed: whether it lasts for so long; else it ends when its work is done.
        measured: when latencies count, in words that follow on how long that is.
        part: latencies count for one in so many parts of the time.
        pinned: whether a stack of its own gives the gateway a core for itself, unless --no-pin or --pin is given.
        distributed: whether it can run with --master and --worker.
        gateways: how many a stack of its own has.
        needs: options that a system that runs already needs: how many of each, and how to ask for it.
        latencies: which ones it measures, of `gateway`, `direct` and `overhead`.
        counts: results that its users count by these names, with their units; 0 if there was nothing to count.
        figures: results that `run` sets, with their units.
    """

    connections: ClassVar[int] = 1000
    seconds: ClassVar[float] = 60
    timed: ClassVar[bool] = True
    measured: ClassVar[str] = "after the ramp"
    part: ClassVar[int] = 1
    pinned: ClassVar[bool] = True
    distributed: ClassVar[bool] = False
    gateways: ClassVar[int] = 1
    needs: ClassVar[Mapping[str, tuple[int, str]]] = {}
    latencies: ClassVar[tuple[str, ...]] = (GATEWAY,)
    counts: ClassVar[Mapping[str, str]] = {}
    figures: ClassVar[Mapping[str, str]] = {}

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return type(self).__name__.lower()

    @property
    def teaches(self) -> str:
        """What it shows, in one sentence; what happens, and what its figures mean."""
        return (sys.modules[type(self).__module__].__doc__ or "").strip()

    @property
    def about(self) -> str:
        """What it shows, in one sentence."""
        return self.teaches.partition("\n")[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of everything that thresholds may be about."""
        return metric_names(self.latencies, (*self.counts, *self.figures, *CLIENT_FIGURES))

    def measured_time(self, seconds: float) -> str:
        """Return what the latencies are of, in words."""
        return f"the {shown(seconds / self.part, 's')} {self.measured}" if self.timed else WHOLE

    def prepare(self, options: Namespace) -> None:
        """Set how many users of each class there are, if there is more than one class."""
        del options

    def gateway_settings(self, options: Namespace) -> Mapping[str, object]:
        """Return settings for the gateways of a stack of its own, which else have limits that are never reached."""
        del options
        return {}

    def accounts(self, options: Namespace) -> int:
        """Return how many tokens it needs."""
        return int(options.num_users)

    @abstractmethod
    def run(self, director: Director) -> None:
        """Do to the users what the scenario is about, and set its figures."""
