"""The page of a load run: all of it is there, nothing in it can do harm, and it needs nobody else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

graph_objects = pytest.importorskip("plotly.graph_objects", reason="the load group is not installed")

from tests.loadtests.pages import parsed  # noqa: E402 - after the check above
from tests.loadtests.samples import latency  # noqa: E402 - after the check above

from loadtests.common.run import (  # noqa: E402 - after the check above
    Event,
    Failure,
    Figure,
    Latency,
    Request,
    Run,
    Second,
    Verdict,
)
from loadtests.report import page as builder  # noqa: E402 - needs plotly
from loadtests.report.run import page, write  # noqa: E402 - needs plotly

HOSTILE = "</script><script>alert('&amp;')</script>"


def distribution(*seconds: float) -> Latency:
    return latency(seconds)


def second(at: float) -> Second:
    return Second(
        at=at, connections=900, messages=880, failures=2, p50=0.001, p99=0.02, gateway_cpu=0.3, gateway_rss=64 << 20
    )  # fmt: skip


MINIMAL = Run(
    scenario="limits",
    about="An abuser beside others.",
    started="2026-11-23T13:00:00+00:00",
    seconds=3.2,
    gateway_url="ws://127.0.0.1:1/ws",
)
FULL = replace(
    MINIMAL,
    scenario="failover",
    direct_url="ws://127.0.0.1:2/ws",
    settings={"connections": 900, "warm": None},
    machine={"cpu": "A fast one", "cores": 2},
    versions={"locust": "2.0"},
    latencies={
        "gateway": distribution(0.001, 0.002, 0.003),
        "direct": distribution(0.0009, 0.001),
        "overhead": distribution(-0.0001, 0.0004, 0.0121),
    },
    requests=(Request("heartbeat via gateway", 1234, 7, 0.001, 0.002, 0.003), Request("connect", 1, 1, None, None, None)),
    failures=(Failure("heartbeat via gateway", "closed 1012", 7),),
    closes={"1000": 893, "1012": 7},
    studios={"127.0.0.1:9010": 450, "127.0.0.1:9011": 450},
    timeline=(second(1.0), second(2.0), second(3.0)),
    events=(Event(1.5, "Studio 127.0.0.1:9010 killed"),),
    figures=(Figure("back after", 1.9, "s"),),
    thresholds=(
        Verdict("overhead p99", "< 10 ms", 0.0121, "12.1 ms", passed=False, words="the gateway adds too much"),
        Verdict("lost", "== 0", 0, "0", passed=True),
    ),
    passed=False,
)  # fmt: skip
ONE = replace(
    FULL,
    latencies={"gateway": distribution(0.001), "overhead": distribution(0.0)},
    timeline=(replace(second(1.0), p50=None, p99=None, gateway_cpu=None, gateway_rss=None),),
)
TITLES = {
    "How long a message took",
    "What the gateway added",
    "Connections",
    "Messages",
    "CPU of the gateway",
    "Memory of the gateway",
    "Latency",
}

runs = pytest.mark.parametrize(
    "run",
    [pytest.param(FULL, id="full"), pytest.param(MINIMAL, id="minimal"), pytest.param(ONE, id="one point")],
)


@pytest.fixture(autouse=True)
def no_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave plotly's five megabytes out: a test takes the page apart in no time."""
    monkeypatch.setattr(builder, "get_plotlyjs", lambda: "")


@runs
def test_every_element_has_its_end(run: Run) -> None:
    assert not parsed(page(run)).unclosed


@runs
def test_no_network_is_needed(run: Run) -> None:
    found = parsed(page(run))
    assert not [
        element for element in found.elements if element.attributes.keys() & {"src", "href", "srcset", "data"}
    ]
    assert not re.search(r"url\(|@import", found.texts("style")[0])
    policies = [
        meta for meta in found.all("meta") if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in str(policies[0].attributes["content"])


def test_plotlys_script_is_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = parsed(page(FULL))
    assert len([script for script in found.scripts if "plotly.js v" in script.text]) == 1
    assert not found.unclosed


@runs
def test_plotly_understands_every_chart(run: Run) -> None:
    for figure in parsed(page(run)).figures:
        plain = json.loads(re.sub(r"var\(--[a-z]+\)", "#000", json.dumps(figure)))
        graph_objects.Figure(data=plain["traces"], layout=plain["layout"])


def test_every_colour_of_a_chart_is_in_the_style_sheet() -> None:
    found = parsed(page(FULL))
    named = set(re.findall(r"var\((--[a-z]+)\)", json.dumps(found.figures)))
    assert named
    assert named <= set(re.findall(r"(--[a-z]+):", found.texts("style")[0]))


def test_a_full_run_has_every_part() -> None:
    found = parsed(page(FULL))
    assert found.texts("h2") == [
        "Thresholds",
        "Latency",
        "Over time",
        "Connections",
        "Operations",
        "Measured with",
    ]
    assert set(found.texts("h3")) >= TITLES | {
        "On each Studio",
        "How they ended",
        "Failures",
        "Machine",
        "Versions",
    }
    assert len(found.figures) == len(TITLES)
    cells = found.texts("td") + found.texts("th") + found.texts("dd")
    for shown in ("1,234", "closed 1012", "12.1 ms", "A fast one", "900", "1.9 s", "2.0", "127.0.0.1:9010"):
        assert shown in cells
    assert found.texts("li") == ["1.5 s Studio 127.0.0.1:9010 killed"]


def test_the_verdict_comes_first_and_says_what_was_broken() -> None:
    found = parsed(page(FULL))
    assert found.texts("title") == ["failover, failed"]
    assert found.texts("header")[0].startswith("failover✕ failed")
    assert "overhead p99 is 12.1 ms, and must be < 10 ms: the gateway adds too much." in found.texts("p")
    assert found.texts("td")[:4] == ["12.1 ms", "✕ failed", "0", "✓ passed"]


def test_a_run_that_could_not_go_on_says_why_and_not_as_a_threshold() -> None:
    found = parsed(page(replace(FULL, thresholds=(), stopped="not all back within 8 s")))
    alerts = [each.text for each in found.all("p") if "alert" in str(each.attributes.get("class"))]
    assert alerts == ["Could not go on: not all back within 8 s"]
    assert "None was judged." in found.texts("p")


def test_what_the_latencies_are_of_is_told_at_the_top_and_beside_them() -> None:
    found = parsed(page(replace(FULL, measured="the 5 s before SIGTERM")))
    scope = "the 5 s before SIGTERM only; all other figures are from the whole run, including ramp and end."
    assert f"Latencies are from {scope}" in found.texts("header")[0]
    assert any(text.endswith(f" The times are from {scope}") for text in found.texts("p"))
    assert "Latencies are" not in parsed(page(MINIMAL)).texts("header")[0]


@pytest.mark.parametrize(
    ("latencies", "told", "untold"),
    [
        (["gateway"], [], ["directly", "Overhead"]),
        (["gateway", "direct"], ["directly"], ["Overhead"]),
        (["gateway", "direct", "overhead"], ["directly", "Overhead"], []),
    ],
)
def test_only_the_latencies_that_are_there_are_explained(
    latencies: list[str], told: list[str], untold: list[str]
) -> None:
    found = parsed(page(replace(FULL, latencies={name: FULL.latencies[name] for name in latencies})))
    [about] = [text for text in found.texts("p") if text.startswith("From sending a message")]
    assert all(word in about for word in told)
    assert not any(word in about for word in untold)


def test_our_product_and_version_are_in_the_title() -> None:
    found = parsed(page(replace(FULL, versions={"locust": "2.0", "memmie-gateway": "0.9.1"})))
    assert found.texts("title") == ["memmie-gateway 0.9.1: failover, failed"]
    assert found.texts("h1") == ["memmie-gateway 0.9.1: failover"]


def test_the_tiles_of_broken_thresholds_are_marked() -> None:
    run = replace(
        FULL, thresholds=(*FULL.thresholds, Verdict("back after", "< 1 s", 1.9, "1.9 s", passed=False))
    )
    names = {"overhead, p99must be < 10 ms": "✕ 12.1 ms", "back aftermust be < 1 s": "✕ 1.9 s"}
    found = parsed(page(run))
    marked = [each.text for each in found.all("div") if each.attributes.get("class") == "failed"]
    assert marked == [f"{name}{value}" for name, value in names.items()]


def test_a_run_that_was_not_judged_neither_passed_nor_failed() -> None:
    why = "this machine was too busy: direct p99 was 31 ms"
    unjudged = Verdict("overhead p99", "< 10 ms", 0.0121, "12.1 ms", passed=None)
    found = parsed(page(replace(FULL, thresholds=(unjudged,), passed=None, not_judged=why)))
    assert found.texts("title") == ["failover, not judged"]
    assert found.texts("header")[0].startswith("failover○ not judged: this machine was too busy")
    assert f"Not judged: {why}" in found.texts("p")
    assert found.texts("td")[:2] == ["12.1 ms", "○ not judged"]
    classes = {str(each.attributes.get("class")) for each in found.elements}
    assert "verdict unjudged" in classes
    assert not {"verdict passed", "verdict failed", "failed"} & classes


def test_a_good_run_says_so() -> None:
    found = parsed(page(replace(FULL, thresholds=FULL.thresholds[1:], passed=True)))
    assert found.texts("header")[0].startswith("failover✓ passed")
    assert not [each for each in found.all("p") if "alert" in str(each.attributes.get("class"))]


def test_the_height_is_what_was_counted_where_it_was() -> None:
    sampled, counted = parsed(page(FULL)), parsed(page(replace(FULL, most_connections=1_234_567)))
    assert sampled.texts("dd")[0] == "900"
    assert counted.texts("dd")[0] == "1,234,567"


def test_a_minimal_run_has_what_there_is() -> None:
    found = parsed(page(MINIMAL))
    assert found.texts("h2") == ["Thresholds", "Operations", "Measured with"]
    assert not found.figures
    assert "None." in found.texts("p")


def test_what_was_not_seen_has_no_chart() -> None:
    assert {"Connections", "Messages"} <= set(parsed(page(ONE)).texts("h3"))
    assert (
        not TITLES
        & {"CPU of the gateway", "Memory of the gateway", "Latency"}
        & set(parsed(page(ONE)).texts("h3"))
    )


def test_one_point_can_be_seen() -> None:
    modes = [trace["mode"] for figure in parsed(page(ONE)).figures[1:] for trace in figure["traces"]]
    assert modes
    assert all("markers" in mode for mode in modes)


def test_near_events_have_their_numbers_in_one_place() -> None:
    events = (Event(0.1, "a"), Event(1.0, "b"), Event(1.05, "c"), Event(1.1, "d"))
    connections = parsed(page(replace(FULL, events=events))).figures[2]
    assert [each["text"] for each in connections["layout"]["annotations"]] == ["1", "2…4"]
    assert [each["x0"] for each in connections["layout"]["shapes"]] == [0.1, 1.0, 1.05, 1.1]


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(replace(FULL, scenario=HOSTILE, about=HOSTILE), id="scenario"),
        pytest.param(replace(FULL, failures=(Failure(HOSTILE, HOSTILE, 1),)), id="failure"),
        pytest.param(replace(FULL, requests=(Request(HOSTILE, 1, 0, None, None, None),)), id="request"),
        pytest.param(replace(FULL, events=(Event(1.0, HOSTILE),)), id="event"),
        pytest.param(replace(FULL, closes={HOSTILE: 1}, studios={HOSTILE: 1}), id="close"),
        pytest.param(replace(FULL, settings={HOSTILE: HOSTILE}, machine={HOSTILE: HOSTILE}), id="setting"),
        pytest.param(replace(FULL, gateway_url=HOSTILE), id="address"),
        pytest.param(replace(FULL, stopped=HOSTILE), id="stopped"),
        pytest.param(replace(FULL, figures=(Figure(HOSTILE, 1, HOSTILE),)), id="figure"),
        pytest.param(replace(FULL, thresholds=(Verdict(HOSTILE, HOSTILE, 1, HOSTILE, passed=False, words=HOSTILE),)), id="threshold"),
    ],
)  # fmt: skip
def test_what_others_have_written_is_shown_as_text(run: Run) -> None:
    harmless, found = parsed(page(FULL)), parsed(page(run))
    assert len(found.all("script")) == len(harmless.all("script"))
    assert HOSTILE in found.texts("body")[0]


def test_it_is_written_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write(FULL, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page(FULL)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
