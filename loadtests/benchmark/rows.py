"""What was measured, row by row, with what it was measured on; and the same as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtests.benchmark.cases import MEASUREMENTS, Case
from loadtests.common.machine import Cores
from loadtests.traffic.results import fitting, revived


@dataclass(frozen=True, slots=True)
class Row:
    """One result.

    Attributes:
        case: what was measured.
        peer: of whom; its name.
        round: in which round, from 1.
        result: as the measurement's own class.
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
        cores: who ran where.
        peers: what each peer is, by name, in the order of the tables.
        versions: of the peers, as far as they are known, by name.
        skipped: peers that were asked for and are not installed, by name, and how to get them.
        rows: everything that was measured, in the order it was.
        problems: measurements that have no result, and why.
        commands: that it was made with.
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
        """Return it with nothing left out."""
        return {
            "started": self.started,
            "commands": self.commands,
            "machine": dict(self.machine),
            "cores": {
                "gateway": sorted(self.cores.gateway) if self.cores.gateway else None,
                "load": sorted(self.cores.load) if self.cores.load else None,
            },
            "peers": self.peers,
            "versions": self.versions,
            "skipped": self.skipped,
            "rows": [asdict(row) for row in self.rows],
            "problems": self.problems,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Record:
        """Return the record that `as_json` made this of; what was derived from it is not looked at.

        Raises:
            ValueError: it is none; the message says what does not fit.
        """
        try:
            cores = document["cores"]
            return cls(
                started=fitting("started", document["started"], str),
                machine=_named(document, "machine", str, int),
                cores=Cores(_cores(cores["gateway"]), _cores(cores["load"])),
                peers=_named(document, "peers", str),
                versions=_named(document, "versions", str),
                skipped=_named(document, "skipped", str),
                rows=[_row(row) for row in fitting("rows", document["rows"], list)],
                problems=_texts(document, "problems"),
                commands=_texts(document, "commands"),
            )
        except KeyError as error:
            raise ValueError(f"this is no JSON of the peers benchmark, it lacks {error}") from None
        except (TypeError, AttributeError) as error:
            raise ValueError(f"this is no JSON of the peers benchmark: {error}") from None


def _row(document: Mapping[str, Any]) -> Row:
    case = revived(Case, document["case"])
    if case.measurement not in MEASUREMENTS:
        raise ValueError(f"there is no measurement {case.measurement!r:.40}")
    result = revived(MEASUREMENTS[case.measurement].result, document["result"])
    peer, number = fitting("peer", document["peer"], str), fitting("round", document["round"], int)
    return Row(case, peer, number, result)


def _cores(listed: Any) -> frozenset[int] | None:
    if listed is None:
        return None
    return frozenset(fitting("a core", core, int) for core in fitting("cores", listed, list)) or None


def _named(document: Mapping[str, Any], key: str, *kinds: type[Any]) -> dict[str, Any]:
    return {
        name: fitting(f"{name} of {key}", value, *kinds)
        for name, value in fitting(key, document[key], dict).items()
    }


def _texts(document: Mapping[str, Any], key: str) -> list[str]:
    return [fitting(f"one of {key}", text, str) for text in fitting(key, document[key], list)]
