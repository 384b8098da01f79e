"""Doing the measurements, each with a fresh process of its peer."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from loadtests.benchmark.auth import Auth, running_auth
from loadtests.benchmark.cases import MEASUREMENTS, Task
from loadtests.benchmark.processes import answer_of, serving
from loadtests.benchmark.rows import Row
from loadtests.common.errors import LoadTestError
from loadtests.common.machine import Cores
from loadtests.peers.peer import Endpoint, Peer, Stage
from loadtests.traffic.job import Target
from loadtests.traffic.results import revived

OVERHEAD_SECONDS: Final = 120.0
"""How much longer than its window a measurement may take: connecting, warming up, closing."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements share.

    Attributes:
        cores: who runs where.
        backend_url: the echo backend's WebSocket.
        backend_pid: its process.
        auth: whom gateways ask.
    """

    cores: Cores
    backend_url: str
    backend_pid: int
    auth: Auth


@contextlib.asynccontextmanager
async def running_bench(tasks: Sequence[Task], cores: Cores) -> AsyncIterator[Bench]:
    """Run the echo backend and Auth for the length of the block.

    Args:
        tasks: at least one: what is going to be measured.
        cores: who runs where.

    Raises:
        LoadTestError: one of them does not start.
    """
    echo = [sys.executable, "-m", "loadtests.traffic.echo"]
    users = max(task.case.connections for task in tasks)
    async with (
        running_auth(users, cores=cores.load) as auth,
        serving("the echo backend", echo, cores=cores.load) as backend,
    ):
        yield Bench(cores, f"ws://127.0.0.1:{backend.port}/ws", backend.pid, auth)


async def measure(bench: Bench, task: Task) -> Row:
    """Do one measurement.

    Raises:
        LoadTestError: it has no result.
    """
    case, peer = task.case, task.peer
    stage = Stage(bench.backend_url, bench.auth.url, case.connections, bench.cores.gateway)
    # A fresh process: how memory happens to be laid out in one must not decide a whole run.
    async with peer.start(stage) as endpoint:
        answer = await _ask(bench, task, _target(bench, peer, endpoint, case.connections))
    return Row(case, peer.name, task.round, revived(MEASUREMENTS[case.measurement].result, answer))


def _target(bench: Bench, peer: Peer, endpoint: Endpoint, connections: int) -> Target:
    return Target(
        url=endpoint.url,
        headers=[peer.headers(token) for token in bench.auth.tokens[:connections]],
        gateway_pids=list(endpoint.pids),
        backend_pids=[bench.backend_pid],
        auth_pids=[bench.auth.pid],
        direct_url=bench.backend_url,
    )


async def _ask(bench: Bench, task: Task, target: Target) -> dict[str, Any]:
    """Have the load process do one measurement."""
    options = task.case.options()
    answer = await answer_of(
        "the load",
        [sys.executable, "-m", "loadtests.traffic.load"],
        {"measurement": task.case.measurement, "target": asdict(target), "options": options},
        cores=bench.cores.load,
        seconds=(task.case.seconds or 0) + OVERHEAD_SECONDS,
    )
    if "problem" in answer:
        raise LoadTestError(str(answer["problem"]))
    result = answer["result"]
    assert isinstance(result, dict)  # noqa: S101 - the load is ours
    return result
