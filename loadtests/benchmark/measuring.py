"""Which measurements the options ask for, in which order, and how each is made, with a fresh process of its peer."""

from __future__ import annotations

import contextlib
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from loadtests.analysis.conclusions import document
from loadtests.analysis.measurements import MEASUREMENTS, Case, Record, Row
from loadtests.common.errors import LoadTestError
from loadtests.common.files import write_whole
from loadtests.common.machine import Cores, raise_open_files
from loadtests.common.supervisor import Server, answer_of, awake, serving
from loadtests.peers.peer import DIRECT, OURS, Peer
from loadtests.traffic.results import RESULTS, Target
from memmie_harness.tokens import MintError, mint_token

# About how long these take: a peer and the load to start and to end, a connection to open and to close, and messages
# to flow before the window.
START_SECONDS: Final = 1.0
CONNECT_SECONDS: Final = 0.0012
WARM_UP_SECONDS: Final = 0.7

LATENCY_WINDOWS: Final = 3
"""How many windows the messages at a fixed rate last: there are fewer of them, and a percentile needs many."""

OVERHEAD_SECONDS: Final = 120.0
"""How much longer than its window a measurement may take: connecting, warming up, closing."""

ECHO: Final = "loadtests.traffic.echo"
BACKENDS: Final = {
    "connects": "loadtests.traffic.answering",
    "storm": "loadtests.traffic.answering",
    "http": "loadtests.traffic.service",
}
"""The modules of the backends: of those measurements that do not use the echo backend."""

TOKEN_SECONDS: Final = 24 * 3600  # longer than any benchmark


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement of one peer in one round."""

    round: int
    case: Case
    peer: Peer

    def __str__(self) -> str:
        return f"round {self.round}, {self.case.measurement}, {self.case}, {self.peer.name}"

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        measurement = MEASUREMENTS[self.case.measurement]
        connecting = measurement.opened * self.case.connections * CONNECT_SECONDS
        window = self.case.seconds + WARM_UP_SECONDS if self.case.seconds else 0.0
        return START_SECONDS + connecting + measurement.windows * window


def cases(options: Namespace) -> Iterator[Case]:
    """Return what the options of the command line measure, in the order of the tables."""
    size, connections, seconds = options.sizes[0], options.connections[0], options.seconds
    for name in MEASUREMENTS:
        if name not in options.measure:
            continue
        if name == "round-trips":
            for each in dict.fromkeys(options.sizes):
                yield from (Case(name, n, each, None, seconds) for n in dict.fromkeys(options.connections))
        elif name == "latency":
            for n, rate in dict.fromkeys(options.rates):
                yield Case(name, n, size, rate, LATENCY_WINDOWS * seconds)
        elif name == "connects":
            yield Case(name, options.connects)
        elif name == "storm":
            yield from (Case(name, n) for n in dict.fromkeys(options.storm))
        elif name == "memory":
            yield Case(name, max(options.connections), size)
        elif name == "socketio":
            for at_once in dict.fromkeys((1, connections)):
                yield Case(name, connections, size, None, seconds, at_once)
        elif name == "http":
            yield Case(name, connections, seconds=seconds)
        else:
            yield Case(name, options.hold, size, 1, seconds)


def tasks(options: Namespace, peers: Sequence[Peer]) -> list[Task]:
    """Return all there is to do: each peer in turn, so that a machine that drifts does so for all (A B C A B C …)."""
    return [
        Task(number, case, peer)
        for number in range(1, options.rounds + 1)
        for case in cases(options)
        for peer in peers
        if _is_measured(case, number, peer, [each.name for each in peers])
    ]


def _is_measured(case: Case, number: int, peer: Peer, peers: Sequence[str]) -> bool:
    measurement = MEASUREMENTS[case.measurement]
    if measurement.protocol not in peer.paths or (measurement.needs_gateway and peer.name == DIRECT):
        return False
    return not measurement.once or (number == 1 and (peer.name == OURS or OURS not in peers))


def duration(tasks: Sequence[Task]) -> str:
    """Return about how long tasks take."""
    seconds = sum(task.seconds for task in tasks)
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def measure_all(todo: Sequence[Task], record: Record, file: Path | None) -> None:
    """Do at least one task, each whether or not the others have a result; what it finds goes into the record and its file."""
    raise_open_files(max(task.case.connections for task in todo))
    say("starting the backends, and Auth with a user for each connection")
    auth_command = ["-m", "memmie_fake_auth.cli", "serve", "--host", "127.0.0.1", "--port", "0"]
    on = record.cores.load
    with contextlib.ExitStack() as stack:
        auth = stack.enter_context(serving("the fake Auth", [sys.executable, *auth_command], cores=on))
        backends = {
            module: stack.enter_context(
                serving(f"the backend {module}", [sys.executable, "-m", module], cores=on)
            )
            for module in dict.fromkeys(_backend_of(task.case) for task in todo)
        }
        users = range(max(task.case.connections for task in todo))
        try:
            auth_url = f"http://127.0.0.1:{auth.port}"
            tokens = [mint_token(auth_url, f"user-{user}", TOKEN_SECONDS) for user in users]
        except MintError as error:
            raise LoadTestError(str(error)) from None
        say("all are running")
        for number, task in enumerate(todo):
            say(f"[{number + 1}/{len(todo)}] {task} · about {duration(todo[number:])} left")
            is_latency = task.case.measurement == "latency"
            try:
                with awake(os.sched_getaffinity(0) if record.kept_awake and is_latency else ()):
                    row = _measure(task, record.cores, backends[_backend_of(task.case)], auth, tokens)
                record.rows.append(row)
            except LoadTestError as error:
                record.problems.append(f"{task}: {quoted(error)}")
                say(f"FAILED {record.problems[-1]}")
            with contextlib.suppress(OSError):  # a full disk is no reason to stop measuring
                if file is not None:
                    write_whole(file, document(record))


def _backend_of(case: Case) -> str:
    return BACKENDS.get(case.measurement, ECHO)


def _measure(task: Task, cores: Cores, backend: Server, auth: Server, tokens: Sequence[str]) -> Row:
    case, peer = task.case, task.peer
    given = {name: getattr(case, name) for name in ("size", "rate", "seconds", "at_once")}
    protocol = MEASUREMENTS[case.measurement].protocol
    backend_url, auth_url = f"ws://127.0.0.1:{backend.port}/ws", f"http://127.0.0.1:{auth.port}"
    # A fresh process: how its memory happens to be laid out must not decide a whole run.
    with peer.start(backend_url, auth_url, connections=case.connections, cores=cores.gateway) as endpoint:
        target = Target(
            url=endpoint.urls[protocol],
            headers=[peer.headers(token) for token in tokens[: case.connections]],
            gateway_pids=list(endpoint.pids),
            backend_pids=[backend.pid],
            auth_pids=[auth.pid],
            direct_url=backend_url,
        )
        options = {name: value for name, value in given.items() if value is not None}
        answer = answer_of(
            "the load",
            [sys.executable, "-m", "loadtests.traffic.load"],
            {"measurement": case.measurement, "target": asdict(target), "options": options},
            cores=cores.load,
            seconds=(case.seconds or 0) + OVERHEAD_SECONDS,
        )
        if "problem" in answer:
            raise LoadTestError(answer["problem"])
    result = TypeAdapter(RESULTS[case.measurement]).validate_python(answer["result"])
    return Row(case, peer.name, task.round, result)


def quoted(error: LoadTestError) -> str:
    """Return an error with its notes: the last lines of the processes that were running."""
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


def say(line: str) -> None:
    """Write a line of progress."""
    print(line, file=sys.stderr, flush=True)
