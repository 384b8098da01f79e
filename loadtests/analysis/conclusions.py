"""What follows from the numbers: verdicts on the targets, whether other work disturbed them, and what runs out next."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.analysis.measurements import MEASUREMENTS, Case, Cell, Figure, Record, cells, load_share
from loadtests.peers.peer import DIRECT, OURS
from loadtests.traffic.results import Hold

TARGETS: Final = Path(__file__).with_name("targets.toml")
_WHERE: Final = ("connections", "size", "rate")
_KEYS: Final = {"figure", "of", "at_most", "at_least", "from", *_WHERE}

LATE_MILLISECONDS: Final = 1.0
"""A load whose messages go out later than this (99th percentile) had to wait for other work on its core."""

IDLE: Final = 0.85
"""A closed loop fills the gateway's core or the load's; if both are less busy than this, something else stopped it."""

SIDES: Final = 2
"""Open files of a connection: the client's and the Studio's."""


def document(record: Record) -> str:
    """Return the JSON of a benchmark: the record, its figures and what follows from them."""
    found = cells(record)
    figures = [
        {**asdict(cell.figure), **asdict(cell.spread), **asdict(cell), "figure": cell.figure.name, "called": cell.called}
        for cell in found
    ]  # fmt: skip
    targets = [
        {**asdict(verdict), "figure": verdict.figure.name, "unit": verdict.unit, "held": verdict.held}
        for verdict in verdicts(found)
    ]
    conclusions = {"targets": targets, "headroom": headroom(record), "noise": noise(record)}
    # The only things that JSON does not know are sets of cores.
    return json.dumps(asdict(record) | {"figures": figures} | conclusions, indent=1, default=sorted) + "\n"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one target."""

    figure: Figure
    case: Case
    of: str | None  # the peer that ours is divided by; None for the number itself
    value: float  # the median
    limit: float  # that the value is compared with
    at_least: bool  # whether the value must reach the limit, instead of staying within it
    lacking: str  # why it cannot be judged, such as what there is too little of; "" if it can

    @property
    def unit(self) -> str:
        """The unit of value and limit; "" for a ratio."""
        return "" if self.of else self.figure.unit

    @property
    def measured(self) -> str:
        """The value with its unit."""
        return f"{self.value:,.4g} {self.unit}".rstrip()

    @property
    def rule(self) -> str:
        """What must hold, in words."""
        of = f"÷ {self.of} " if self.of else ""
        bound = "at least" if self.at_least else "at most"
        return f"{of}must be {bound} {self.limit:,.4g} {self.unit}".rstrip()

    @property
    def held(self) -> bool | None:
        """Whether the target holds; None if that cannot be judged."""
        if self.lacking:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        missed = f"missed by {abs(self.value - self.limit):,.4g}"
        outcome = {True: "held", False: missed, None: f"not judged ({self.lacking})"}[self.held]
        return f"{self.figure.name} {self.case} {self.rule}, is {self.measured}: {outcome}"


def verdicts(measured: Sequence[Cell], file: Path = TARGETS) -> list[Verdict]:
    """Compare what was measured with the targets; a target about something else has no verdict.

    A ValueError says what in the file is not a target.
    """
    document = tomllib.loads(file.read_text())
    found = []
    for target in document["target"]:
        _check(target, file)
        of = target.get("of")
        for cell in measured:
            spread = cell.ratio if of else cell.spread
            if spread and cell.peer == (of or OURS) and _is_about(target, cell):
                rounds = len(cell.ratios if of else cell.values)
                lacking = _lacking(cell.case, rounds, document["judged"], target.get("from", 0))
                if cell.figure.name == "added-p99":
                    lacking = lacking or _disturbed(_late(measured, cell.case))
                limit = target.get("at_least", target.get("at_most"))
                found.append(
                    Verdict(cell.figure, cell.case, of, spread.median, limit, "at_least" in target, lacking)
                )
    return found


def _check(target: Mapping[str, Any], file: Path) -> None:
    names = {figure.name for measurement in MEASUREMENTS.values() for figure in measurement.figures}
    unknown = sorted((target.keys() - _KEYS) | (set(_listed(target.get("figure", ""))) - names))
    if unknown:
        raise ValueError(f"{file}: {', '.join(map(repr, unknown))} is neither a key nor a figure")
    if ("at_most" in target) == ("at_least" in target):
        raise ValueError(f"{file}: a target of {target['figure']} needs either at_most or at_least")


def _is_about(target: Mapping[str, Any], cell: Cell) -> bool:
    return cell.figure.name in _listed(target["figure"]) and all(
        getattr(cell.case, key) in _listed(target[key]) for key in _WHERE if key in target
    )


def _lacking(case: Case, rounds: int, needed: Mapping[str, float], connections: int) -> str:
    """Return what there is too little of to judge; "" if there is enough."""
    found = (
        ("rounds", rounds, 1 if MEASUREMENTS[case.measurement].once else needed["rounds"]),
        ("seconds", case.seconds, needed["seconds"]),
        ("connections", case.connections, connections),
    )
    lacking = (each for each in found if each[1] is not None and each[1] < each[2])
    return ", ".join(f"{what}: {has:g} of {least:g}" for what, has, least in lacking)


def _late(measured: Iterable[Cell], case: Case) -> dict[str, float]:
    """Return the peers at which the load itself was late, and by how many milliseconds."""
    return {
        cell.peer: cell.spread.median
        for cell in measured
        if cell.case == case and cell.figure.name == "late-p99" and cell.spread.median > LATE_MILLISECONDS
    }


def _disturbed(late: Mapping[str, float]) -> str:
    """Return why the added latency of ours cannot be judged; "" if it can."""
    worst = max(late.get(DIRECT, 0.0), late.get(OURS, 0.0))
    return f"the load itself was late by {worst:.1f} ms" if worst else ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def noise(record: Record) -> list[str]:
    """Return a line for each measurement that other work on the machine disturbed."""
    advice = "when no other work uses the machine"
    if not record.kept_awake:
        advice = f"with --keep-awake, unless a quota limits the CPU time, or {advice}"
    lines = []
    measured = cells(record)
    for case in record.cases("latency"):
        if late := _late(measured, case):
            words = ", ".join(f"{peer} {milliseconds:.1f}" for peer, milliseconds in late.items())
            lines.append(
                f"latency {case}: the load itself was late (p99 ms {words}), so p99 is the machine's: "
                f"repeat the run {advice}"
            )
    for case in record.cases("round-trips"):
        idle = []
        for peer in record.peers:
            spans = [row.window for row in record.of(case, peer).values()]
            fullest = [max(span.gateway / span.seconds, load_share(record.cores, span)) for span in spans]
            if fullest and max(fullest) < IDLE:
                idle.append(peer)
        if idle:
            lines.append(
                f"round trips/s {case}: neither the gateway's core nor the load's was full ({', '.join(idle)}) because of "
                "other work on the machine, or too few connections; the CPU per round trip is still valid"
            )
    return lines


def headroom(record: Record) -> list[str]:
    """Return a line for every peer that held connections: what it would exhaust next."""
    return [
        f"{row.peer} holds {row.result.connections:,}; next to run out: "
        + "; ".join(f"at {connections:,} {what}" for connections, what in found)
        for row in record.rows
        if isinstance(row.result, Hold) and (found := resources(row.result))
    ]


def resources(held: Hold) -> list[tuple[int, str]]:
    """Return at how many connections each resource is exhausted, and what it is, the scarcest first; [] without a gateway."""
    if not held.open_files_limit:
        return []
    per_connection = max(1.0, (held.rss_held - held.rss_before) / held.connections)
    other_files = held.open_files - SIDES * held.connections
    core_share = max(held.window.gateway, 1e-9) / held.window.seconds
    limits = {
        f"open files: {held.open_files_limit:,} allowed (ulimit -n, LimitNOFILE=, or its own setting)":
            (held.open_files_limit - other_files) // SIDES,
        "ports towards one Studio's address (net.ipv4.ip_local_port_range; another Studio has as many again)":
            held.ports,
        f"memory: {held.memory_available / 2**30:.1f} GiB available (the kernel's socket buffers need more)":
            held.connections + int(held.memory_available / per_connection),
        "the gateway's core, at a message a second each (more messages, fewer connections)":
            int(held.connections / core_share),
    }  # fmt: skip
    return sorted((connections, what) for what, connections in limits.items())
