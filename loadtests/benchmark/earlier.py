"""What an earlier run has left in the --json file: it is gone on with or kept, and never lost by mistake."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from loadtests.benchmark.cases import Task
from loadtests.benchmark.document import read
from loadtests.benchmark.rows import Record
from loadtests.common.errors import UsageError


def refuse_to_lose(file: Path) -> None:
    """Look whether a new run would overwrite something.

    Raises:
        UsageError: it would.
    """
    if not file.exists() or file.stat().st_size == 0:
        return
    try:
        results = len(read(file).rows)
    except UsageError:
        raise UsageError(
            f"{file} exists and is no JSON of this benchmark: name another file, or --overwrite it (--json)"
        ) from None
    raise UsageError(
        f"{file} has {results} results: --resume goes on with them; another file, or --overwrite, begins anew (--json)"
    )


def gone_on_with(file: Path, new: Record) -> Record:
    """Return the record in the file, as that of a run which goes on now; the new one where there is no file yet.

    Raises:
        UsageError: the file cannot be read, or its numbers do not compare with those that are to come.
    """
    if not file.exists():
        return new
    earlier = read(file)
    if (earlier.machine, earlier.cores) != (new.machine, new.cores):
        raise UsageError(
            f"{file} was measured on another machine, or with other libraries: the two do not compare (--resume)"
        )
    for peer, version in new.versions.items():
        if (before := earlier.versions.get(peer, version)) != version:
            raise UsageError(
                f"{file} has {peer} {before}, and this is {version}: the two do not compare (--resume)"
            )
    earlier.problems.clear()  # what has no result is tried again
    earlier.peers |= new.peers
    earlier.versions |= new.versions
    earlier.skipped = {
        name: how for name, how in (earlier.skipped | new.skipped).items() if name not in earlier.peers
    }
    earlier.commands += new.commands
    return earlier


def not_done(tasks: Iterable[Task], record: Record) -> list[Task]:
    """Return those tasks that the record has no result of.

    Raises:
        UsageError: it has one of the same case with windows of another length: they would look the same, and are not.
    """
    seconds = {replace(row.case, seconds=None): row.case.seconds for row in record.rows}
    for task in (tasks := list(tasks)):
        before = seconds.get(replace(task.case, seconds=None), task.case.seconds)
        if before != task.case.seconds:
            raise UsageError(
                f"{task.case.measurement} {task.case} was measured for {before:g} s, and would be for "
                f"{task.case.seconds:g} s now: give the --seconds of the earlier run, or another --json (--resume)"
            )
    done = {(row.round, row.case, row.peer) for row in record.rows}
    return [task for task in tasks if (task.round, task.case, task.peer.name) not in done]
