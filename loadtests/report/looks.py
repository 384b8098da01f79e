"""How each measurement of the peers benchmark is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Look:
    """How a measurement is shown.

    Attributes:
        heading: of its section.
        about: how it was measured.
        drawn: figures that have charts, each with its title.
        headline: which of them are told at the top, for ours.
    """

    heading: str
    about: str
    drawn: Mapping[str, str]
    headline: Sequence[str] = ()


LOOKS: Final[Mapping[str, Look]] = {
    "round-trips": Look(
        heading="Round trips",
        about="CPU of all the gateway's processes for each message and its echo, as fast as it goes. "
        "≥ marks a rate at which the load's core was full before the gateway's.",
        drawn={"cpu-per-round-trip": "CPU per round trip"},
        headline=["cpu-per-round-trip"],
    ),
    "latency": Look(
        heading="Latency added at a fixed rate",
        about="From when a message was due until its echo, less what it took without a gateway in the same round.",
        drawn={"added-p50": "Added, p50", "added-p99": "Added, p99"},
        headline=["added-p50", "added-p99"],
    ),
    "connects": Look(
        heading="Connecting",
        about="CPU for opening an authenticated connection and closing it again: with a token that the gateway has "
        "not seen, so that it asks Auth, and with one that it has. Who asks nobody (no auth) does less.",
        drawn={"cpu-per-connect-new": "CPU per connect, new token", "cpu-per-connect-known": "CPU per connect, known token"},
        headline=["cpu-per-connect-new"],
    ),
    "memory": Look(
        heading="Memory",
        about="Resident memory above that with no connection, of all its processes, for each connection.",
        drawn={"memory-per-idle-connection": "Per idle connection", "memory-per-busy-connection": "Per busy connection"},
        headline=["memory-per-idle-connection"],
    ),
    "hold": Look(
        heading="Held at once",
        about="Many connections, each served a message a second.",
        drawn={"held": "Held and served"},
        headline=["held"],
    ),
}  # fmt: skip


def look_of(measurement: str) -> Look:
    """Return how a measurement is shown; one that has no look of its own is a table."""
    return LOOKS.get(measurement, Look(heading=measurement, about="", drawn={}))
