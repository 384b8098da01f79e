"""The plan: who is measured when, what an earlier run has measured already, and the progress of what is left."""

from __future__ import annotations

import math
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TextIO

from loadtests.analysis.measurements import MEASUREMENTS, Case, Record
from loadtests.analysis.store import read
from loadtests.common.errors import UsageError
from loadtests.peers.peer import DIRECT, OURS, Peer

START_SECONDS: Final = 1.0
"""About how long a peer and the load take to start and to end."""

CONNECT_SECONDS: Final = 0.0012
"""About how long a connection takes to open and to close."""

WARM_UP_SECONDS: Final = 0.7
"""About how long messages flow before the window."""

LATENCY_WINDOWS: Final = 3
"""How many windows the messages at a fixed rate last: there are fewer of them, and a percentile needs many."""


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement of one peer in one round."""

    round: int
    case: Case
    peer: Peer

    @property
    def what(self) -> str:
        """What is measured, in words."""
        return f"{self.case.measurement}, {self.case}"

    def __str__(self) -> str:
        """Return it for a line of progress."""
        return f"round {self.round}, {self.what}, {self.peer.name}"

    def seconds(self) -> float:
        """Return about how long it takes."""
        connecting = MEASUREMENTS[self.case.measurement].opened * self.case.connections * CONNECT_SECONDS
        window = self.case.seconds + WARM_UP_SECONDS if self.case.seconds else 0.0
        return START_SECONDS + connecting + window


def cases(options: Namespace) -> Iterator[Case]:
    """Return what the options of the command line measure, in the order of the tables."""
    size, seconds = options.sizes[0], options.seconds
    for name in MEASUREMENTS:
        if name not in options.measure:
            continue
        if name == "round-trips":
            for each in dict.fromkeys(options.sizes):
                yield from (Case(name, n, each, None, seconds) for n in dict.fromkeys(options.connections))
        elif name == "latency":
            yield from (
                Case(name, n, size, rate, LATENCY_WINDOWS * seconds)
                for n, rate in dict.fromkeys(options.rates)
            )
        elif name == "connects":
            yield Case(name, options.connects)
        elif name == "memory":
            yield Case(name, max(options.connections), size)
        else:
            yield Case(name, options.hold, size, 1, seconds)


def tasks(options: Namespace, peers: Sequence[Peer]) -> list[Task]:
    """Return all there is to do: each peer in turn, so that a machine that drifts does so for all (A B C A B C …)."""
    return [
        Task(number, case, peer)
        for number in range(1, options.rounds + 1)
        for case in cases(options)
        for peer in peers
        if _is_measured(case, number, peer.name, [each.name for each in peers])
    ]


def _is_measured(case: Case, number: int, peer: str, peers: Sequence[str]) -> bool:
    measurement = MEASUREMENTS[case.measurement]
    if measurement.needs_gateway and peer == DIRECT:
        return False
    return not measurement.once or (number == 1 and (peer == OURS or OURS not in peers))


SPARSE_SECONDS: Final = 10.0
"""The least time between two lines of progress that do not go to a terminal."""


def duration(seconds: float) -> str:
    """Return about how long something takes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Progress:
    """Reports the progress of some tasks to a stream."""

    def __init__(self, tasks: Sequence[Task], out: TextIO = sys.stderr) -> None:
        self._seconds = [task.seconds() for task in tasks]
        self._out = out
        self._done = 0
        self._began = time.monotonic()
        self._said = -math.inf

    def say(self, line: str) -> None:
        """Write a line in any case."""
        print(line, file=self._out, flush=True)

    def begins(self, task: Task) -> None:
        """Report which measurement begins, if it is time for a line."""
        now = time.monotonic()
        if self._out.isatty() or now - self._said >= SPARSE_SECONDS:
            self._said = now
            number = f"[{self._done + 1}/{len(self._seconds)}]"
            self.say(f"{number} {task} · about {duration(self._left(now))} left")

    def done(self) -> None:
        """Count one more measurement that is done."""
        self._done += 1

    def _left(self, now: float) -> float:
        """Return how many seconds are left, corrected by how good the estimate was so far."""
        estimated, left = sum(self._seconds[: self._done]), sum(self._seconds[self._done :])
        return (now - self._began) / estimated * left if estimated else left


def ensure_not_overwritten(file: Path) -> None:
    """Check that a new run overwrites nothing.

    Raises:
        UsageError: it would.
    """
    if not file.exists() or file.stat().st_size == 0:
        return
    try:
        results = len(read(file).rows)
    except UsageError as error:
        raise UsageError(f"{error}: name another file, or --overwrite it (--json)") from None
    raise UsageError(
        f"{file} has {results} results: --resume continues them; another file, or --overwrite, starts again (--json)"
    )


def resume(file: Path, new: Record) -> Record:
    """Return the record in the file, to be continued now; the new one if there is no file yet.

    Raises:
        UsageError: the file cannot be read, or its numbers cannot be compared with those to come.
    """
    if not file.exists():
        return new
    try:
        found = read(file)
    except UsageError as error:
        raise UsageError(f"{error} (--resume)") from None
    if (found.machine, found.cores) != (new.machine, new.cores):
        raise UsageError(
            f"{file} was measured on another machine, or with other libraries, and cannot be compared (--resume)"
        )
    for peer, version in new.versions.items():
        if (before := found.versions.get(peer, version)) != version:
            raise UsageError(
                f"{file} has {peer} {before}, this is {version}, and they cannot be compared (--resume)"
            )
    found.problems.clear()  # what has no result is tried again
    found.peers |= new.peers
    found.versions |= new.versions
    found.skipped = {
        name: how for name, how in (found.skipped | new.skipped).items() if name not in found.peers
    }
    found.commands += new.commands
    return found


def not_done(tasks: Iterable[Task], record: Record) -> list[Task]:
    """Return the tasks that have no result in the record.

    Raises:
        UsageError: a case was measured in windows of another length: they would look the same, and are not.
    """
    seconds = {replace(row.case, seconds=None): row.case.seconds for row in record.rows}
    for task in (tasks := list(tasks)):
        before = seconds.get(replace(task.case, seconds=None), task.case.seconds)
        if before != task.case.seconds:
            raise UsageError(
                f"{task.case.measurement} {task.case} was measured for {before:g} s, and would be for "
                f"{task.case.seconds:g} s now: give the --seconds of the first run, or another --json (--resume)"
            )
    done = {(row.round, row.case, row.peer) for row in record.rows}
    return [task for task in tasks if (task.round, task.case, task.peer.name) not in done]
