"""Connecting and closing again, a few at a time: what letting somebody in costs the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from loadtests.traffic.connecting import close_all, connect_all
from loadtests.traffic.connection import Connection, Traffic
from loadtests.traffic.job import Target
from loadtests.traffic.meter import Meter
from loadtests.traffic.results import Connecting, Connects

KNOWN_PER_NEW: Final = 4
"""How the mix is made: for each new token so many that the gateway has met before."""


async def measure(target: Target) -> Connects:
    """Connect and close with tokens that are new to the gateway, with known ones, and with a mix.

    One in five of the target's headers is kept for the mix, as what is new there. As many are used up first, so that
    what a gateway loads and opens for its first clients is not counted.

    Raises:
        LoadError: a connection failed.
        ProcessGoneError: the gateway died.
    """
    a_fifth = max(1, len(target.headers) // (KNOWN_PER_NEW + 1))
    known, fresh = target.headers[:-a_fifth], target.headers[-a_fifth:]
    await _connecting(replace(target, headers=known[:a_fifth]))
    return Connects(
        new=await _connecting(replace(target, headers=known[a_fifth:])),
        known=await _connecting(replace(target, headers=known)),
        mixed=await _connecting(replace(target, headers=_mixed(known, fresh))),
    )


def _mixed(known: Sequence[dict[str, str]], fresh: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    mix = []
    for number, new in enumerate(fresh):
        mix += [new, *known[number * KNOWN_PER_NEW : (number + 1) * KNOWN_PER_NEW]]
    return mix


async def _connecting(target: Target) -> Connecting:
    traffic = Traffic()
    meter = Meter(target)
    connections = await connect_all(target, lambda number: Connection(traffic, number))
    opening = meter.lap()
    traffic.check()
    await close_all(connections, traffic)
    return Connecting(count=len(connections), opening=opening, closing=meter.lap())
