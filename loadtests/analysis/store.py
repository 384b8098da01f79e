"""The JSON file of a benchmark: everything that was measured, and what follows from it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from loadtests.analysis.cells import Cell, cells
from loadtests.analysis.measurements import Record
from loadtests.analysis.remarks import headroom, noise
from loadtests.analysis.targets import verdicts
from loadtests.common.errors import UsageError
from loadtests.common.files import parsed, write_whole


def document(record: Record) -> dict[str, Any]:
    """Return the record with its figures, the verdicts on the targets, the headroom and the noise."""
    found = cells(record)
    return {
        **TypeAdapter(Record).dump_python(record, mode="json"),
        "figures": [_figure(cell) for cell in found],
        "targets": [verdict.as_json() for verdict in verdicts(found)],
        "headroom": headroom(record),
        "noise": noise(record),
    }


def _figure(cell: Cell) -> dict[str, Any]:
    return {
        "figure": cell.figure.name,
        "title": cell.figure.title,
        "unit": cell.figure.unit,
        "decimals": cell.figure.decimals,
        "case": asdict(cell.case),
        "peer": cell.peer,
        "called": cell.called,
        "values": {str(number): value for number, value in cell.values.items()},
        **asdict(cell.spread),
        "ratio": asdict(cell.ratio) if cell.ratio else None,
        "bounded_by_load": cell.at_least,
    }


def write(record: Record, file: Path) -> None:
    """Write a run's JSON, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(file, json.dumps(document(record), indent=1) + "\n")


def read(file: Path) -> Record:
    """Return the record in a run's JSON.

    Raises:
        UsageError: the file cannot be read, or holds something else.
    """
    try:
        return parsed(Record, file.read_text())
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{file} is not a JSON of the peers benchmark: {error}") from None
