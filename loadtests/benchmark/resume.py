"""What a --json file already holds: a run is resumed or kept, and never overwritten by mistake."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from loadtests.analysis.record import Record
from loadtests.analysis.store import read
from loadtests.benchmark.plan import Task
from loadtests.common.errors import UsageError


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
