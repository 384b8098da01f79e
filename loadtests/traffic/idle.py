"""Connections that do nothing: what memory they take in the gateway."""

from __future__ import annotations

from dataclasses import replace

from loadtests.traffic.connection import Loop, close_all, connect_all
from loadtests.traffic.job import Idle, Target
from loadtests.traffic.usage import rss_bytes


async def measure(target: Target) -> Idle:
    """Measure the gateway's memory before and after connecting.

    One connection is made first and closed again, so that what is loaded on first use is not counted.

    Raises:
        LoadError: a connection failed.
        ProcessGoneError: the gateway died.
    """
    loop = Loop()
    await close_all(await connect_all(loop, replace(target, headers=target.headers[:1])))
    before = rss_bytes(target.gateway_pids)
    connections = await connect_all(loop, target)
    after = rss_bytes(target.gateway_pids)
    await close_all(connections)
    return Idle(connections=len(connections), rss_before=before, rss_after=after)
