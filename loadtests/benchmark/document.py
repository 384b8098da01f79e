"""The JSON of a run: everything that was measured, and what follows from it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtests.benchmark.cases import MEASUREMENTS
from loadtests.benchmark.figure import Spread, called, is_bounded_by_load, ratios, values
from loadtests.benchmark.figures import FIGURES
from loadtests.benchmark.noise import noise
from loadtests.benchmark.room import room
from loadtests.benchmark.rows import Record
from loadtests.benchmark.targets import verdicts
from loadtests.common.errors import LoadTestError, UsageError


def document(record: Record) -> dict[str, Any]:
    """Return the record, with its figures by measurement, case and peer, and what became of the targets."""
    return {
        **record.as_json(),
        "figures": list(_figures(record)),
        "targets": [{**asdict(verdict), "held": verdict.held} for verdict in verdicts(record)],
        "room": room(record),
        "noise": noise(record),
    }


def _figures(record: Record) -> Iterator[dict[str, Any]]:
    for measurement in MEASUREMENTS:
        for case in record.cases(measurement):
            for figure in FIGURES[measurement]:
                for peer in record.peers:
                    found = values(figure, record, case, peer)
                    if spread := Spread.of(found.values()):
                        ratio = Spread.of(ratios(figure, record, case, peer).values())
                        yield {
                            "figure": figure.name,
                            "title": figure.title,
                            "unit": figure.unit,
                            "decimals": figure.decimals,
                            "case": asdict(case),
                            "peer": peer,
                            "called": called(peer, case),
                            "values": {str(number): value for number, value in found.items()},
                            **asdict(spread),
                            "ratio": asdict(ratio) if ratio else None,
                            "bounded_by_load": is_bounded_by_load(figure, record, case, peer),
                        }


def write(record: Record, file: Path) -> None:
    """Write a run's JSON, whole or not at all.

    Raises:
        LoadTestError: it cannot be written.
    """
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")  # another run may write the same file
    try:
        unfinished.write_text(json.dumps(document(record), indent=1) + "\n")
        unfinished.replace(file)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise LoadTestError(f"{file} cannot be written: {error.strerror} (--json)") from None


class Keeper:
    """Keeps a run's JSON up to date.

    Args:
        file: where; None for nowhere.

    Attributes:
        problem: why the file lacks what was measured last; "" where it does not.
    """

    def __init__(self, file: Path | None) -> None:
        self.problem = ""
        self._file = file

    def keep(self, record: Record) -> None:
        """Write all there is, or note why not: a full disk is no reason to measure nothing more."""
        if self._file is None:
            return
        try:
            write(record, self._file)
        except LoadTestError as error:
            self.problem = str(error)
        else:
            self.problem = ""

    def __str__(self) -> str:
        """Tell what becomes of a run that ends now; "" where it has no file."""
        if self._file is None:
            return ""
        return self.problem or f"{self._file} has what was measured, --resume goes on"


def read(file: Path) -> Record:
    """Return the record of a run's JSON.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    try:
        return Record.from_json(json.loads(file.read_text()))
    except RecursionError:
        raise UsageError(f"{file} cannot be gone on with: it is nested too deeply (--resume)") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror} (--resume)") from None
    except ValueError as error:
        raise UsageError(f"{file} cannot be gone on with: {error} (--resume)") from None
