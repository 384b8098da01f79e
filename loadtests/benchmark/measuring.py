"""The measurements, round by round: each peer in turn, so that a machine that drifts does so for all (A B C A B C …)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loadtests.benchmark.auth import Auth, running_auth
from loadtests.benchmark.machine import Cores
from loadtests.benchmark.problems import BenchError
from loadtests.benchmark.processes import answer_of, serving
from loadtests.peers.peer import Endpoint, Peer, Stage
from loadtests.traffic.job import Connects, Idle, RoundTrips

CONNECTS: Final = 500
"""Connections that are opened and closed to measure what that costs."""

OVERHEAD_SECONDS: Final = 120.0
"""How much longer than its window a measurement may take: connecting, warming up, closing."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure.

    Attributes:
        peers: whom.
        connections: with how many at once, one measurement each.
        size: of a message, in bytes.
        seconds: length of a window.
        rounds: how often each measurement is repeated.
        connects: how many connections are opened and closed for the cost of connecting; 0 leaves that and the
            memory of idle connections out.
    """

    peers: tuple[Peer, ...]
    connections: tuple[int, ...]
    size: int
    seconds: float
    rounds: int
    connects: int = CONNECTS


@dataclass(frozen=True, slots=True)
class Letting:
    """What a peer's connections cost, from one process of it.

    Attributes:
        idle: memory of connections that do nothing.
        new: connecting with tokens the gateway has not seen, so that it asks Auth about each.
        known: connecting with the same tokens again.
    """

    idle: Idle
    new: Connects
    known: Connects


@dataclass(slots=True)
class Results:
    """Everything that was measured, in the order it was.

    Attributes:
        round_trips: by peer and number of connections; one per round.
        letting: by peer; one per round.
        problems: measurements that have no result, and why.
    """

    round_trips: dict[tuple[str, int], list[RoundTrips]] = field(default_factory=dict)
    letting: dict[str, list[Letting]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements share: the backend, Auth, and who runs where."""

    settings: Settings
    cores: Cores
    backend_url: str
    backend_pid: int
    auth: Auth
    say: Callable[[str], None]


@contextlib.asynccontextmanager
async def running_bench(settings: Settings, cores: Cores, say: Callable[[str], None]) -> AsyncIterator[Bench]:
    """Run the echo backend and Auth for the length of the block.

    Raises:
        BenchError: one of them does not start.
    """
    echo = [sys.executable, "-m", "loadtests.traffic.echo"]
    users = max(settings.connections) + settings.connects
    async with (
        running_auth(users, cores=cores.load) as auth,
        serving("the echo backend", echo, cores=cores.load) as backend,
    ):
        say("the echo backend and Auth are running")
        yield Bench(settings, cores, f"ws://127.0.0.1:{backend.port}/ws", backend.pid, auth, say)


async def measure(bench: Bench) -> Results:
    """Do all measurements, and go on with the next one where one has no result."""
    results = Results()
    settings = bench.settings
    for number in range(1, settings.rounds + 1):
        for connections in settings.connections:
            for peer in settings.peers:
                what = f"round {number}/{settings.rounds}, {peer.name}, {connections} connections"
                with _noting(bench, results, what):
                    trips = await _round_trips(bench, peer, connections)
                    results.round_trips.setdefault((peer.name, connections), []).append(trips)
                    bench.say(f"{what}: {trips.count / trips.seconds:,.0f} round trips/s")
        for peer in settings.peers if settings.connects else ():
            what = f"round {number}/{settings.rounds}, {peer.name}, idle connections and connects"
            with _noting(bench, results, what):
                letting = await _letting(bench, peer)
                if letting is not None:
                    results.letting.setdefault(peer.name, []).append(letting)
                    bench.say(f"{what}: {letting.new.count / letting.new.seconds:,.0f} connects/s")
    return results


@contextlib.contextmanager
def _noting(bench: Bench, results: Results, what: str) -> Iterator[None]:
    try:
        yield
    except BenchError as error:
        problem = "\n".join([f"{what}: {error}", *getattr(error, "__notes__", [])])
        results.problems.append(problem)
        bench.say(f"FAILED {problem}")


@contextlib.asynccontextmanager
async def _started(bench: Bench, peer: Peer) -> AsyncIterator[Endpoint]:
    """Start a fresh process of the peer: how memory happens to be laid out in one must not decide a whole run."""
    connections = max(bench.settings.connections)
    stage = Stage(bench.backend_url, bench.auth.url, connections, bench.cores.gateway)
    async with peer.start(stage) as endpoint:
        yield endpoint


async def _round_trips(bench: Bench, peer: Peer, connections: int) -> RoundTrips:
    settings = bench.settings
    async with _started(bench, peer) as endpoint:
        answer = await _ask(
            bench,
            peer,
            endpoint,
            "round_trips",
            bench.auth.tokens[:connections],
            size=settings.size,
            seconds=settings.seconds,
        )
    return RoundTrips(**answer)


async def _letting(bench: Bench, peer: Peer) -> Letting | None:
    idle_tokens = bench.auth.tokens[: max(bench.settings.connections)]
    new_tokens = bench.auth.tokens[len(idle_tokens) :]
    async with _started(bench, peer) as endpoint:
        if not endpoint.pids:
            return None
        return Letting(
            idle=Idle(**await _ask(bench, peer, endpoint, "idle", idle_tokens)),
            new=Connects(**await _ask(bench, peer, endpoint, "connects", new_tokens)),
            known=Connects(**await _ask(bench, peer, endpoint, "connects", new_tokens)),
        )


async def _ask(
    bench: Bench, peer: Peer, endpoint: Endpoint, measurement: str, tokens: Sequence[str], **options: float
) -> dict[str, Any]:
    """Have the load process do one measurement."""
    question = {
        "measurement": measurement,
        "target": {
            "url": endpoint.url,
            "headers": [peer.headers(token) for token in tokens],
            "gateway_pids": endpoint.pids,
            "backend_pids": [bench.backend_pid],
        },
        "options": options,
    }
    answer = await answer_of(
        "the load",
        [sys.executable, "-m", "loadtests.traffic.load"],
        question,
        cores=bench.cores.load,
        seconds=options.get("seconds", 0) + OVERHEAD_SECONDS,
    )
    if "problem" in answer:
        raise BenchError(str(answer["problem"]))
    result = answer["result"]
    assert isinstance(result, dict)  # noqa: S101 - the load is ours
    return result
