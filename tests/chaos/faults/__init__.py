"""The faults of a chaos run, each a small class with what it may cost; `FAULTS` is the table."""

from __future__ import annotations

import random
from typing import Final

from tests.chaos.faults.auth import (
    AuthFails,
    AuthFrozen,
    AuthKilled,
    AuthPartitioned,
    AuthRefusesAll,
    AuthSlow,
)
from tests.chaos.faults.base import Fault
from tests.chaos.faults.gateways import GatewayDrained, GatewayFrozen, GatewayKilled
from tests.chaos.faults.names import NamesFail, NamesVanish
from tests.chaos.faults.studios import (
    HealthBroken,
    PairFlapping,
    PairPartitioned,
    StudioAdded,
    StudioFlapping,
    StudioFrozen,
    StudioKilled,
    StudioMoved,
    StudioPartitioned,
    StudioRemoved,
    StudioSlow,
    StudioStopped,
)
from tests.chaos.stage import Stage

FAULTS: Final[tuple[type[Fault], ...]] = (
    StudioKilled,
    StudioStopped,
    StudioFrozen,
    StudioFlapping,
    StudioSlow,
    StudioMoved,
    StudioPartitioned,
    PairPartitioned,
    PairFlapping,
    HealthBroken,
    NamesFail,
    NamesVanish,
    AuthKilled,
    AuthFrozen,
    AuthPartitioned,
    AuthRefusesAll,
    AuthFails,
    AuthSlow,
    GatewayDrained,
    GatewayKilled,
    GatewayFrozen,
)
"""Every fault but those of the last Studio, which is added in one round and removed in the next."""

PAUSE_SECONDS: Final = 2.0
"""Calm between two faults, on top of what a fault takes to begin and to end."""


def schedule(stage: Stage, rng: random.Random, seconds: float, only: str | None = None) -> list[Fault]:
    """Return the faults of a run in their order: every kind in turn, in a new order each round.

    Args:
        stage: what they break.
        rng: decides order, targets and durations.
        seconds: how long the faults and the pauses between them take in all.
        only: the name of a class, to have no other faults; the last Studio is added and removed in turn.
    """
    faults: list[Fault] = []
    last: type[Fault] = StudioAdded
    while True:
        # The last Studio can only be removed after it was added.
        chosen = (
            (*FAULTS, last) if only is None else [kind for kind in (*FAULTS, last) if kind.__name__ == only]
        )
        kinds = chosen or [last]
        for kind in rng.sample(kinds, len(kinds)):
            fault = kind(stage, rng)
            seconds -= fault.takes + fault.lasts + PAUSE_SECONDS
            if seconds < 0:
                return faults
            faults.append(fault)
        last = StudioRemoved if last is StudioAdded else StudioAdded
