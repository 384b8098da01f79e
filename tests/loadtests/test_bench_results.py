"""What the benchmark makes of its results: figures, ratios, tables, notes, verdicts, and a record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("picows", reason="the load group is not installed")

from loadtests.analysis.conclusions import TARGETS, Verdict, document, noise, resources, verdicts
from loadtests.analysis.measurements import MEASUREMENTS, Case, Cell, Figure, Record, Row, Spread, cells
from loadtests.benchmark import command
from loadtests.benchmark.command import main
from loadtests.benchmark.measuring import Task, duration
from loadtests.common.files import parsed
from loadtests.common.machine import Cores, describe
from loadtests.peers.peer import DIRECT, PEERS
from loadtests.report.__main__ import main as report
from loadtests.traffic.results import (
    Connecting,
    Connects,
    FixedRate,
    Hold,
    Memory,
    Percentiles,
    RoundTrips,
    Span,
    total,
)

TRIPS = Case("round-trips", 50, size=128, seconds=1.0)
RATE = Case("latency", 1000, size=128, rate=1.0, seconds=2.0)
HELD = Case("hold", 5000, size=128, rate=1, seconds=1.0)

MEMORY = Case("memory", 100, size=128)
CONNECTS = Case("connects", 500)

CPU, PER_SECOND = MEASUREMENTS["round-trips"].figures[:2]
ADDED_P50 = MEASUREMENTS["latency"].figures[0]


def cell_of(figure: Figure, record: Record, case: Case, peer: str) -> Cell | None:
    found = [cell for cell in cells(record) if (cell.figure, cell.case, cell.peer) == (figure, case, peer)]
    return found[0] if found else None


def values(figure: Figure, record: Record, case: Case, peer: str) -> dict[int, float]:
    cell = cell_of(figure, record, case, peer)
    return cell.values if cell else {}


def ratios(figure: Figure, record: Record, case: Case, peer: str) -> dict[int, float]:
    cell = cell_of(figure, record, case, peer)
    return cell.ratios if cell else {}


def tables(record: Record) -> str:
    return "\n".join(command._tables(cells(record)))


def judged(record: Record) -> list[Verdict]:
    return verdicts(cells(record))


def milliseconds(p50: float) -> Percentiles:
    return Percentiles(count=1, p50=p50 / 1e3, p90=p50 / 1e3, p99=p50 / 1e3, p999=p50 / 1e3, max=p50 / 1e3)


def trips(gateway_cpu: float, *, load: float = 0.4, backend: float = 0.4) -> RoundTrips:
    return RoundTrips(Span(1.0, gateway_cpu, backend, 0.0, load), count=10_000, latency=milliseconds(1))


def at_a_rate(p50: float, late: float = 0.0) -> FixedRate:
    window = Span(2.0, 0.1, 0.1, 0.0, 0.1)
    return FixedRate(
        window, 2000, latency=milliseconds(p50), paired=milliseconds(0), lateness=milliseconds(late)
    )


def distinct(least: float) -> Percentiles:
    """Return a distribution no two of whose numbers are the same."""
    p50, p90, p99, p999, most = (least * factor / 1e3 for factor in (1, 2, 3, 4, 5))
    return Percentiles(count=1, p50=p50, p90=p90, p99=p99, p999=p999, max=most)


def connecting(gateway: float) -> Connecting:
    """Return a hundred connects; opening them cost so many CPU seconds, and closing them a tenth of that."""
    opening = Span(2.0, gateway, 0.02, 0.03, 0.04)
    return Connecting(100, opening, Span(0.5, gateway / 10, 0.005, 0.005, 0.01))


def held(**changes: float) -> Hold:
    numbers = {
        "rss_before": 50 << 20,
        "rss_held": (50 << 20) + 5000 * 1024,
        "open_files": 10_020,
        "open_files_limit": 20_000,
        "memory_available": 1 << 30,
        "ports": 28_232,
    }
    return Hold(
        connections=5000,
        opening=Span(2.0, 1.0, 0.0, 0.0, 0.0),
        window=Span(1.0, 0.1, 0.0, 0.0, 0.0),
        count=5000,
        latency=milliseconds(1),
        **{name: int(value) for name, value in (numbers | changes).items()},
    )


def thrice(case: Case, peer: str, result: Any) -> list[Row]:
    return [Row(case, peer, number, result) for number in (1, 2, 3)]


def record(*rows: Row, machine: dict[str, str | int] | None = None) -> Record:
    return Record(
        started="2030-01-01T00:00:00+00:00",
        machine=machine or {"cpu": "a quick one"},
        cores=Cores(frozenset({1}), frozenset({0})),
        peers={"direct": "none", "gateway": "ours", "nginx": "theirs"},
        rows=list(rows),
    )


def test_a_ratio_compares_each_round_with_the_same_round() -> None:
    measured = record(
        Row(TRIPS, "gateway", 1, trips(0.2)),
        Row(TRIPS, "nginx", 1, trips(0.1)),
        Row(TRIPS, "gateway", 2, trips(0.3)),
        Row(TRIPS, "nginx", 2, trips(0.3)),
        Row(TRIPS, "gateway", 3, trips(0.9)),  # nginx failed in that round
    )
    assert values(CPU, measured, TRIPS, "gateway") == pytest.approx({1: 20, 2: 30, 3: 90})
    assert ratios(CPU, measured, TRIPS, "nginx") == pytest.approx({1: 2, 2: 1})
    assert ratios(CPU, measured, TRIPS, "gateway") == {}


def test_no_gateway_costs_nothing_rather_than_zero() -> None:
    measured = record(Row(TRIPS, "direct", 1, trips(0.0)), Row(TRIPS, "gateway", 1, trips(0.2)))
    assert values(CPU, measured, TRIPS, "direct") == {}
    assert ratios(CPU, measured, TRIPS, "direct") == {}


def test_added_latency_is_what_is_more_than_directs_of_the_same_round() -> None:
    measured = record(
        Row(RATE, "direct", 1, at_a_rate(0.2)),
        Row(RATE, "gateway", 1, at_a_rate(0.5)),
        Row(RATE, "direct", 2, at_a_rate(0.1)),
        Row(RATE, "gateway", 2, at_a_rate(0.2)),
        Row(RATE, "gateway", 3, at_a_rate(0.2)),
    )
    assert values(ADDED_P50, measured, RATE, "gateway") == pytest.approx({1: 0.3, 2: 0.1})
    assert values(ADDED_P50, measured, RATE, "direct") == {}


def figures_of(measured: Record, case: Case) -> dict[str, float]:
    found = {
        figure.name: values(figure, measured, case, "gateway")
        for figure in MEASUREMENTS[case.measurement].figures
    }
    return {name: by_round[1] for name, by_round in found.items()}


def test_each_figure_of_connecting_is_made_of_its_own_numbers() -> None:
    case = Case("connects", 500)
    result = Connects(
        new=connecting(0.4),
        known=replace(connecting(0.1), count=50),
        mixed=replace(connecting(0.9), count=300),
    )
    assert figures_of(record(Row(case, "gateway", 1, result)), case) == pytest.approx(
        {
            "cpu-per-connect-new": 4400,
            "cpu-per-connect-known": 2200,
            "cpu-per-connect-mixed": 3300,
            "cpu-per-open-new": 4000,
            "cpu-per-open-known": 2000,
            "connects-per-second-new": 50,
            "connects-per-second-known": 25,
            "load-cpu-per-connect-known": 1000,
            "backend-cpu-per-connect-known": 500,
            "auth-cpu-per-connect-new": 350,
            "gateway-busy-known": 5,
            "gateway-busy": 45,
            "load-busy": 2,
            "backend-busy": 1,
            "auth-busy": 1.5,
        }
    )


def test_each_figure_of_memory_is_made_of_its_own_numbers() -> None:
    result = Memory(100, rss_before=1 << 20, rss_idle=2 << 20, rss_busy=5 << 20)
    assert figures_of(record(Row(MEMORY, "gateway", 1, result)), MEMORY) == pytest.approx(
        {
            "memory-per-idle-connection": 10.24,
            "memory-per-busy-connection": 40.96,
            "memory-at-start": 1,
        }
    )


def test_each_figure_of_latency_is_made_of_its_own_numbers() -> None:
    window = Span(2.0, 0.2, 0.04, 0.0, 0.06)
    result = FixedRate(window, 2000, latency=distinct(10), paired=distinct(0.7), lateness=distinct(0.1))
    measured = record(
        Row(RATE, "gateway", 1, result), Row(RATE, "direct", 1, replace(result, latency=distinct(1)))
    )
    assert figures_of(measured, RATE) == pytest.approx(
        {
            "added-p50": 9,
            "added-p99": 27,
            "paired-p50": 0.7,
            "paired-p99": 2.1,
            "latency-p50": 10,
            "latency-p99": 30,
            "late-p99": 0.3,
            "cpu-per-message": 100,
            "gateway-busy": 10,
            "load-busy": 3,
            "backend-busy": 2,
        }
    )


def test_added_latencies_have_no_ratio() -> None:
    measured = record(*(Row(RATE, peer, 1, at_a_rate(0.2)) for peer in ("direct", "gateway", "nginx")))
    assert all(ratios(figure, measured, RATE, "nginx") == {} for figure in MEASUREMENTS["latency"].figures)


@pytest.mark.parametrize("nothing", [0, -4096])
def test_a_round_in_which_one_cost_nothing_is_not_left_out_of_the_ratio(nothing: int) -> None:
    idle = MEASUREMENTS["memory"].figures[0]
    measured = record(
        *(
            Row(MEMORY, peer, number, Memory(100, 1 << 20, (1 << 20) + more, (1 << 20) + more))
            for number, of_nginx in ((1, 409_600), (2, nothing))
            for peer, more in (("gateway", 409_600), ("nginx", of_nginx))
        )
    )
    assert list(values(idle, measured, MEMORY, "nginx")) == [1, 2]
    assert ratios(idle, measured, MEMORY, "nginx") == {}


@pytest.mark.parametrize(
    ("load", "backend", "bounded"),
    [(0.4, 0.4, False), (0.5, 0.47, True), (0.96, 0.0, True)],
)
def test_a_rate_that_the_load_limits_says_so(load: float, backend: float, *, bounded: bool) -> None:
    measured = record(Row(TRIPS, "nginx", 1, trips(0.5, load=load, backend=backend)))
    cell = cell_of(PER_SECOND, measured, TRIPS, "nginx")
    assert cell is not None
    assert cell.bounded_by_load is bounded
    [line] = [line for line in tables(measured).splitlines() if line.startswith("round trips/s")]
    assert line.split() == ["round", "trips/s", "50", "×", "128", "B", "nginx", *["≥"] * bounded, "10,000"]  # noqa: RUF001 - a multiplication sign


def test_a_load_with_two_cores_is_full_when_one_of_its_processes_is() -> None:
    measured = record(Row(TRIPS, "nginx", 1, trips(0.5, load=0.6, backend=0.6)))
    measured.cores = Cores(frozenset({2}), frozenset({0, 1}))
    cell = cell_of(PER_SECOND, measured, TRIPS, "nginx")
    assert cell is not None
    assert not cell.bounded_by_load


def test_a_cell_is_the_median_with_least_and_most() -> None:
    spread = Spread.of([3.0, 1.0, 2.26])
    assert spread is not None
    assert spread.shown(1) == "2.3 (1.0…3.0)"
    assert Spread(1234.0, 1234.0, 1234.0).shown(0) == "1,234"
    assert Spread.of([]) is None


def test_a_table_has_a_line_for_each_figure_of_each_peer_with_the_ratio_of_ours() -> None:
    measured = record(
        *(Row(TRIPS, "direct", number, trips(0.0)) for number in (1, 2)),
        *(Row(TRIPS, "gateway", number, trips(0.1 * number)) for number in (1, 2)),
        *(Row(TRIPS, "nginx", number, trips(0.1)) for number in (1, 2)),
    )
    title, *lines = tables(measured).splitlines()
    assert title == "CPU PER ROUND TRIP AND MOST ROUND TRIPS A SECOND"
    head = next(number for number, line in enumerate(lines) if line.startswith("figure"))
    assert lines[head : head + 6] == [
        "figure                  connections  peer     median (least…most)  gateway ÷ peer",
        "CPU per round trip, µs  50 × 128 B   gateway  15.0 (10.0…20.0)",  # noqa: RUF001 - a multiplication sign
        "CPU per round trip, µs  50 × 128 B   nginx    10.0                 1.50 (1.00…2.00)",  # noqa: RUF001 - a multiplication sign
        "round trips/s           50 × 128 B   direct   10,000",  # noqa: RUF001 - a multiplication sign
        "round trips/s           50 × 128 B   gateway  10,000",  # noqa: RUF001 - a multiplication sign
        "round trips/s           50 × 128 B   nginx    10,000",  # noqa: RUF001 - a multiplication sign
    ]
    assert "gateway busy, %         50 × 128 B   gateway  15" in lines  # noqa: RUF001 - a multiplication sign


def test_no_table_of_several_rounds_is_too_wide() -> None:
    measured = record()
    for number in (1, 2, 3):
        connecting = Connecting(100, Span(1.0, 0.1 * number, 0.1, 0.1, 0.1), Span(1.0, 0.1, 0.0, 0.0, 0.1))
        for peer in ("direct", "gateway", "nginx"):
            connects = Connects(connecting, connecting, connecting)
            measured.rows.append(Row(CONNECTS, peer, number, connects))
            measured.rows.append(Row(RATE, peer, number, at_a_rate(0.1234 * number)))
    found = tables(measured)
    assert "p99, ms" in found
    assert max(map(len, found.splitlines())) <= command.WIDTH


@pytest.mark.parametrize(("ours", "words"), [(0.13, "1.3: held"), (0.15, "1.5: missed by 0.15")])
def test_a_target_is_held_or_missed(ours: float, words: str) -> None:
    measured = record(*thrice(TRIPS, "gateway", trips(ours)), *thrice(TRIPS, "nginx", trips(0.1)))
    [verdict] = judged(measured)
    assert str(verdict) == f"cpu-per-round-trip {TRIPS} ÷ nginx must be at most 1.35, is {words}"


@pytest.mark.parametrize(
    ("ours", "value"),
    [((0.1, 0.13, 0.9), 1.3), ((0.9, 0.1, 0.13), 1.3), ((0.1, 0.2, 0.21), 2.0)],
)
def test_a_target_is_judged_by_the_median(ours: tuple[float, ...], value: float) -> None:
    measured = record(
        *(Row(TRIPS, "gateway", number, trips(cpu)) for number, cpu in enumerate(ours, start=1)),
        *thrice(TRIPS, "nginx", trips(0.1)),
    )
    [verdict] = judged(measured)
    assert verdict.value == pytest.approx(value)
    assert verdict.held is (value <= 1.35)


def test_who_asks_no_auth_is_marked_where_connecting_is_compared() -> None:
    case = Case("connects", 500)
    connecting = Connecting(100, Span(1.0, 0.1, 0.0, 0.1, 0.1), Span(1.0, 0.1, 0.0, 0.0, 0.1))
    connects = Connects(connecting, connecting, connecting)
    measured = record(
        *(Row(case, peer, 1, connects) for peer in ("gateway", "nginx", "haproxy")),
        *(Row(TRIPS, peer, 1, trips(0.1)) for peer in ("gateway", "nginx", "haproxy")),
    )
    measured.peers["haproxy"] = "theirs, too"
    marked = {
        (entry["peer"], entry["case"]["measurement"])
        for entry in json.loads(document(measured))["figures"]
        if "(no auth)" in entry["called"]
    }
    assert marked == {("haproxy", "connects")}
    assert "haproxy (no auth)" in tables(measured)
    assert "nginx (no auth)" not in tables(measured)


def test_a_target_in_a_unit_is_ours_alone() -> None:
    measured = record(
        *thrice(RATE, "direct", at_a_rate(0.2)),
        *thrice(RATE, "gateway", at_a_rate(0.6)),
        *thrice(RATE, "nginx", at_a_rate(9)),
    )
    p50, p99 = judged(measured)
    assert p50.value == pytest.approx(0.4)
    assert p50.unit == "ms"
    assert p50.held is False
    assert p99.held is True


@pytest.mark.parametrize(
    ("measurement", "changes", "rounds", "lacking"),
    [
        ("round-trips", {"connections": 50, "size": 128, "seconds": 1.0}, 3, ""),
        ("round-trips", {"connections": 50, "size": 128, "seconds": 1.0}, 2, "rounds: 2 of 3"),
        ("round-trips", {"connections": 50, "size": 128, "seconds": 0.3}, 3, "seconds: 0.3 of 1"),
        ("connects", {"connections": 500}, 3, ""),
        ("connects", {"connections": 30}, 1, "rounds: 1 of 3, connections: 30 of 500"),
        ("connects", {"connections": 30}, 3, "connections: 30 of 500"),
        ("memory", {"connections": 1000, "size": 128}, 3, ""),
        ("memory", {"connections": 50, "size": 128}, 3, "connections: 50 of 500"),
        ("hold", {"connections": 5000, "size": 128, "rate": 1, "seconds": 1.0}, 1, ""),
    ],
)
def test_it_takes_enough_to_judge(
    measurement: str, changes: dict[str, float], rounds: int, lacking: str
) -> None:
    connecting = Connecting(100, Span(1.0, 0.1, 0.0, 0.1, 0.1), Span(1.0, 0.1, 0.0, 0.0, 0.1))
    results: dict[str, Any] = {
        "round-trips": trips(0.1),
        "connects": Connects(connecting, connecting, connecting),
        "memory": Memory(100, 1 << 20, 2 << 20, 3 << 20),
        "hold": held(),
    }
    case = Case(measurement, **changes)  # type: ignore[arg-type]  # a table of them
    measured = record(
        *(
            Row(case, peer, number, results[measurement])
            for number in range(1, rounds + 1)
            for peer in ("gateway", "nginx")
        )
    )
    found = judged(measured)
    assert found
    assert {verdict.lacking for verdict in found} == {lacking}
    assert {verdict.held for verdict in found} == {None if lacking else True}
    assert all(" must be at " in str(verdict) for verdict in found)
    assert all(
        str(verdict).endswith(f": not judged ({lacking})" if lacking else ": held") for verdict in found
    )


def test_a_load_that_was_late_itself_is_told() -> None:
    measured = record(
        *(
            Row(RATE, "direct", number, at_a_rate(0.2, late=late))
            for number, late in enumerate((9, 0.1, 0.2))
        ),
        *(Row(RATE, "gateway", number, at_a_rate(0.2, late=late)) for number, late in enumerate((2, 3, 0.1))),
    )
    [line] = noise(measured)
    assert line.startswith(f"latency {RATE}: the load itself was late (p99 ms gateway 2.0)")


@pytest.mark.parametrize(
    ("kept_awake", "words"), [(False, "with --keep-awake, unless"), (True, "when no other")]
)
def test_the_advice_against_a_late_load_is_one_that_was_not_followed_yet(
    words: str, *, kept_awake: bool
) -> None:
    measured = record(Row(RATE, "gateway", 1, at_a_rate(0.2, late=2)))
    measured.kept_awake = kept_awake
    [line] = noise(measured)
    assert f": repeat the run {words}" in line


@pytest.mark.parametrize(("late", "lacking"), [(0.9, ""), (1.2, "the load itself was late by 1.2 ms")])
@pytest.mark.parametrize("peer", ["direct", "gateway"])
def test_a_p99_is_not_judged_if_the_load_was_late(peer: str, late: float, lacking: str) -> None:
    rows = [
        row
        for name in ("direct", "gateway", "nginx")
        for row in thrice(RATE, name, at_a_rate(0.2, late=late if name == peer else 9.0 * (name == "nginx")))
    ]
    assert {verdict.figure.name: verdict.lacking for verdict in judged(record(*rows))} == {
        "added-p50": "",
        "added-p99": lacking,
    }


@pytest.mark.parametrize(("p50", "late"), [(0.3, False), (0.4, True)])
def test_a_load_was_late_where_one_message_in_a_hundred_was(p50: float, *, late: bool) -> None:
    result = replace(at_a_rate(0.2), lateness=distinct(p50))  # p99 is three times that
    assert bool(noise(record(Row(RATE, "gateway", 1, result)))) is late


def test_a_rate_at_which_no_core_was_full_is_told() -> None:
    measured = record(
        Row(TRIPS, "direct", 1, trips(0, load=0.5, backend=0.4)),
        Row(TRIPS, "gateway", 1, trips(0.9, load=0.2, backend=0.1)),
        Row(TRIPS, "nginx", 1, trips(0.6, load=0.4, backend=0.3)),
    )
    [line] = noise(measured)
    assert "neither the gateway's core nor the load's was full (nginx)" in line


def test_connections_held_reach_their_target() -> None:
    [verdict] = judged(record(Row(HELD, "gateway", 1, held())))
    assert str(verdict) == f"held {HELD} must be at least 5,000, is 5,000: held"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('figure = "cpu-per-round-tripp"\nat_most = 1', "'cpu-per-round-tripp'"),
        ('figure = "held"\nat_most = 1\nat_last = 2', "'at_last'"),
        ('figure = "held"', "needs either at_most or at_least"),
    ],
)
def test_a_target_that_says_nothing_is_an_error(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / TARGETS.name
    file.write_text(f"[judged]\nrounds = 3\nseconds = 1\n[[target]]\n{text}\n")
    with pytest.raises(ValueError, match=words):
        verdicts([], file)


@pytest.mark.parametrize(
    ("changes", "first", "words"),
    [
        ({}, 9_990, "open files: 20,000 allowed"),
        ({"open_files_limit": 1 << 20}, 28_232, "ports"),
        ({"open_files_limit": 1 << 20, "memory_available": 2 << 20}, 7_048, "memory: 0.0 GiB"),
    ],
)
def test_what_stops_the_next_connection_is_the_scarcest(
    changes: dict[str, float], first: int, words: str
) -> None:
    connections, what = resources(held(**changes))[0]
    assert connections == first
    assert words in what


def test_where_there_is_no_gateway_nothing_runs_out() -> None:
    assert resources(held(open_files=0, open_files_limit=0)) == []


def test_a_record_comes_back_from_its_json_whole() -> None:
    measured = record(
        Row(TRIPS, "gateway", 1, trips(0.2)),
        Row(RATE, "direct", 1, at_a_rate(0.2)),
        Row(HELD, "gateway", 1, held()),
    )
    assert parsed(Record, document(measured)) == measured


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"rows": [{}]}'])
def test_a_file_that_is_no_record_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "bench.json"
    file.write_text(text)
    assert report([str(file)]) == 2
    words = "is neither a run.json nor a JSON of the peers benchmark"
    assert capsys.readouterr().err.startswith(f"report: {file} {words}")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("started",), 1),
        (("machine",), ["cpu"]),
        (("machine",), "cpu"),
        (("machine", "cpu"), None),
        (("cores",), None),
        (("cores", "load"), 3),
        (("cores", "load"), [[]]),
        (("peers",), [["gateway", "ours"]]),
        (("peers", "gateway"), 1),
        (("versions",), None),
        (("rows",), {}),
        (("rows", 0), []),
        (("rows", 0, "round"), "1"),
        (("rows", 0, "round"), True),
        (("rows", 0, "peer"), ["gateway"]),
        (("rows", 0, "case"), None),
        (("rows", 0, "case", "measurement"), []),
        (("rows", 0, "case", "measurement"), "speed"),
        (("rows", 0, "case", "size"), "128"),
        (("rows", 0, "case", "size"), [128]),
        (("rows", 0, "case", "connections"), None),
        (("rows", 0, "case", "connections"), 10**400),
        (("rows", 0, "case", "seconds"), "1"),
        (("rows", 0, "result"), 1),
        (("rows", 0, "result", "count"), "10000"),
        (("rows", 0, "result", "count"), 0),
        (("rows", 0, "result", "window"), None),
        (("rows", 0, "result", "window", "load"), "0.4"),
        (("rows", 0, "result", "window", "seconds"), 0),
        (("rows", 0, "result", "window", "gateway"), float("nan")),
        (("rows", 0, "result", "window", "gateway"), float("inf")),
        (("rows", 1, "result", "rss_before"), "1"),
        (("rows", 1, "result", "rss_idle"), 1.5),
        (("rows", 2, "result", "new", "count"), None),
        (("problems",), "none"),
        (("commands",), [1]),
    ],
)
def test_a_record_with_another_type_somewhere_is_a_matter_of_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: tuple[str | int, ...], value: object
) -> None:
    measured = record(
        Row(TRIPS, "gateway", 1, trips(0.2)),
        Row(MEMORY, "gateway", 1, Memory(100, 1 << 20, 2 << 20, 3 << 20)),
        Row(CONNECTS, "gateway", 1, Connects(connecting(0.1), connecting(0.1), connecting(0.1))),
        machine=describe(),
    )
    measured.cores = Cores.share_out()
    file = tmp_path / "bench.json"
    numbers = json.loads(document(measured))
    *path, last = where
    place = numbers
    for key in path:
        place = place[key]
    place[last] = value
    file.write_text(json.dumps(numbers))
    assert report([str(file)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"report: {file} is neither a run.json nor a JSON of the peers benchmark: ")


def test_the_json_has_every_figure_with_its_ratio() -> None:
    measured = record(Row(TRIPS, "gateway", 1, trips(0.2)), Row(TRIPS, "nginx", 1, trips(0.1)))
    found = {(entry["figure"], entry["peer"]): entry for entry in json.loads(document(measured))["figures"]}
    assert found["cpu-per-round-trip", "nginx"]["median"] == pytest.approx(10)
    assert found["cpu-per-round-trip", "nginx"]["ratio"]["median"] == pytest.approx(2)
    assert found["cpu-per-round-trip", "gateway"]["ratio"] is None


@pytest.mark.parametrize(("strict", "code"), [(False, 0), (True, 1)])
def test_a_missed_target_is_shown_and_fails_a_strict_run(
    capsys: pytest.CaptureFixture[str], *, strict: bool, code: int
) -> None:
    measured = record(*thrice(TRIPS, "gateway", trips(0.5)), *thrice(TRIPS, "websockets", trips(0.6)))
    measured.peers["websockets"] = "theirs, too"
    assert command._show(measured, strict=strict) == code
    assert "÷ websockets must be at most 0.3, is 0.8333: missed by 0.5333" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--measure", "socketio", "--peers", "websockets"], "nothing to measure: socketio is not for websockets"),
        (["--measure", "memory", "--peers", "direct", "--dry-run"], "nothing to measure: memory is not for direct"),
        (["--measure", "memory", "--keep-awake"], "--keep-awake is only for latency"),
    ],
)  # fmt: skip
def test_what_would_measure_nothing_is_a_mistake(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 2
    table, complaint = capsys.readouterr()
    assert table == ""
    assert words in complaint


def test_the_head_of_the_tables_tells_of_cores_that_were_kept_awake(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured = record()
    for kept_awake in (False, True):
        measured.kept_awake = kept_awake
        assert command._show(measured, strict=False) == 0
        assert ("kept awake" in capsys.readouterr().out) is kept_awake


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_what_a_file_has_is_not_overwritten(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench"
    file.write_text("results\n")
    with pytest.raises(SystemExit) as exit_code:
        main(["--peers", "direct", option, str(file)])
    assert exit_code.value.code == 2
    assert f"{str(file)!r} must be a new file in a folder that exists" in capsys.readouterr().err
    assert file.read_text() == "results\n"
    file.write_text("")
    assert main(["--peers", "direct", option, str(file), "--dry-run"]) == 0


def test_a_quick_run_is_short_and_what_is_asked_for_still_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--rounds", "1", "--peers", "gateway,go", "--dry-run"]) == 0
    out, _ = capsys.readouterr()
    lines = out.splitlines()
    assert {line.split(", ")[0] for line in lines} == {"round 1"}
    assert {line.split(", ")[1] for line in lines} == {"round-trips", "connects"}
    assert {line.split(", ")[-1] for line in lines} <= {"gateway", "go"}
    assert "gateway" in {line.split(", ")[-1] for line in lines}
    assert main(["--peers", "gateway", "--dry-run"]) == 0  # the defaults of another run are not changed
    assert "latency" in capsys.readouterr().out


def test_a_total_of_spans_is_the_sum_of_each_part() -> None:
    assert total([Span(1.0, 2.0, 3.0, 4.0, 5.0), Span(0.5, 0.25, 1.0, 2.0, 4.0)]) == Span(
        1.5, 2.25, 4.0, 6.0, 9.0
    )


def test_a_dry_run_tells_what_and_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--peers", "direct,gateway,websockets", "--rounds", "2", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    peers = ("direct", "gateway", "websockets")
    assert lines[:3] == [f"round 1, {TRIPS.measurement}, {TRIPS}, {peer}" for peer in peers]
    once = [line for line in lines if ", hold, " in line or ", storm, " in line]
    assert len([line for line in lines if line.startswith("round 1, ")]) == (len(lines) + len(once)) / 2
    assert err.splitlines()[-1].startswith(f"{len(lines)} measurements, about ")
    assert once == [
        *(f"round 1, storm, {number}, gateway" for number in ("1,000", "5,000")),
        f"round 1, hold, {HELD}, gateway",
    ]
    assert not any("memory" in line and "direct" in line for line in lines)


@pytest.mark.parametrize(("count", "words"), [(1, "3 s"), (3, "9 s"), (60, "3 min")])
def test_the_estimate_is_that_of_all_measurements(count: int, words: str) -> None:
    assert duration([Task(1, replace(TRIPS, seconds=1.3), PEERS[DIRECT])] * count) == words
