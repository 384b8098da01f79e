"""The record of a benchmark: every result and what it was measured on; as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Final, TypeVar, get_args, get_type_hints

from loadtests.analysis.cases import Case
from loadtests.analysis.measurements import MEASUREMENTS
from loadtests.common.machine import Cores

Kind = TypeVar("Kind")

GREATEST: Final = 1e18
"""No measured number comes near. JSON may hold NaN, and numbers that are too great to compute with."""

DIVISORS: Final = {"seconds", "count", "connections"}
"""Fields that figures divide by: they must be above zero."""


@dataclass(frozen=True, slots=True)
class Row:
    """One result.

    Attributes:
        case: what was measured.
        peer: its name.
        round: in which round, from 1.
        result: of the measurement's own class.
    """

    case: Case
    peer: str
    round: int
    result: Any


@dataclass(slots=True)
class Record:
    """A run of the benchmark, or several that were put together.

    Attributes:
        started: when, ISO 8601 with its time zone.
        machine: what it ran on, and with which libraries.
        cores: which cores each side had.
        peers: what each peer is, by name, in the order of the tables.
        versions: of the peers, as far as they are known, by name.
        skipped: how to get the peers that are not installed, by name.
        rows: every result, in the order of measuring.
        problems: the measurements that have no result, and why.
        commands: that made it.
    """

    started: str
    machine: Mapping[str, str | int]
    cores: Cores
    peers: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def cases(self, measurement: str) -> list[Case]:
        """Return the cases of a measurement that have a row."""
        return list(dict.fromkeys(row.case for row in self.rows if row.case.measurement == measurement))

    def of(self, case: Case, peer: str) -> dict[int, Any]:
        """Return the results of a peer by round."""
        return {row.round: row.result for row in self.rows if row.case == case and row.peer == peer}

    def as_json(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        cores = {"gateway": self.cores.gateway, "load": self.cores.load}
        return {
            "started": self.started,
            "commands": self.commands,
            "machine": dict(self.machine),
            "cores": {side: sorted(each) if each else None for side, each in cores.items()},
            "peers": self.peers,
            "versions": self.versions,
            "skipped": self.skipped,
            "rows": [asdict(row) for row in self.rows],
            "problems": self.problems,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Record:
        """Return the record that `as_json` made this of; what else is in the document was derived from it.

        Raises:
            ValueError: something does not fit; the message says what.
        """
        try:
            cores = document["cores"]
            return cls(
                started=_fitting("started", document["started"], str),
                machine=_named(document, "machine", str, int),
                cores=Cores(_cores(cores["gateway"]), _cores(cores["load"])),
                peers=_named(document, "peers", str),
                versions=_named(document, "versions", str),
                skipped=_named(document, "skipped", str),
                rows=[_row(row) for row in _fitting("rows", document["rows"], list)],
                problems=_texts(document, "problems"),
                commands=_texts(document, "commands"),
            )
        except KeyError as error:
            raise ValueError(f"it has no `{error.args[0]}`") from None
        except (TypeError, AttributeError) as error:
            raise ValueError(str(error)) from None


def _row(document: Mapping[str, Any]) -> Row:
    case = revived(Case, document["case"])
    if case.measurement not in MEASUREMENTS:
        raise ValueError(f"there is no measurement {case.measurement!r:.40}")
    result = revived(MEASUREMENTS[case.measurement].result, document["result"])
    peer, number = _fitting("peer", document["peer"], str), _fitting("round", document["round"], int)
    return Row(case, peer, number, result)


def revived(kind: type[Kind], document: Mapping[str, Any]) -> Kind:
    """Return the dataclass instance that `asdict` and JSON made this document of; a wrong one is a TypeError or ValueError."""
    if not isinstance(document, Mapping):
        raise TypeError(f"{document!r:.40} is not a {kind.__name__}")
    hints = get_type_hints(kind)
    if unknown := document.keys() - hints.keys():
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    values = {
        name: revived(hints[name], value)
        if is_dataclass(hints[name])
        else _fitting(f"{name} of {kind.__name__}", value, *(get_args(hints[name]) or [hints[name]]))
        for name, value in document.items()
    }
    for name in sorted(DIVISORS & values.keys()):
        if values[name] is not None and values[name] <= 0:
            raise ValueError(f"{name} of {kind.__name__} is not above zero")
    return kind(**values)


def _fitting(what: str, value: Any, *kinds: type[Any]) -> Any:
    """Return a JSON value that has one of these types, whole numbers passing for floats; else raise a TypeError."""
    if isinstance(value, bool) or not isinstance(value, (*kinds, int) if float in kinds else kinds):
        raise TypeError(f"{what} is {value!r:.40}")
    if isinstance(value, int | float) and not -GREATEST <= value <= GREATEST:
        raise TypeError(f"{what} is out of bounds")
    return value


def _cores(listed: Any) -> frozenset[int] | None:
    if listed is None:
        return None
    return frozenset(_fitting("a core", core, int) for core in _fitting("cores", listed, list)) or None


def _named(document: Mapping[str, Any], key: str, *kinds: type[Any]) -> dict[str, Any]:
    return {
        name: _fitting(f"{name} of {key}", value, *kinds)
        for name, value in _fitting(key, document[key], dict).items()
    }


def _texts(document: Mapping[str, Any], key: str) -> list[str]:
    return [_fitting(f"one of {key}", text, str) for text in _fitting(key, document[key], list)]
