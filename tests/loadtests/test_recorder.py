"""What a run counts, and how the counts of several workers add up."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.common.distribution import quantile
from loadtests.common.run import DIRECT, GATEWAY, Failure, Request
from loadtests.common.units import shown
from loadtests.runs.recorder import AWAITED, CONNECTIONS, MOST_CONNECTIONS, Histogram, Recorder
from loadtests.runs.sampling import Timeline


def request(recorder: Recorder, name: str, seconds: float, **more: Any) -> None:
    recorder.request(request_type="WS", name=name, response_time=seconds * 1000, response_length=0, **more)


def merged(*recorders: Recorder) -> Recorder:
    all_of_them = Recorder()
    for recorder in recorders:
        all_of_them.merge(recorder.as_message())
    return all_of_them


def near(seconds: float) -> Any:
    """Return what equals a value up to the width of a bucket."""
    return pytest.approx(seconds, rel=0.003)


def test_only_what_is_sent_while_it_measures_is_in_the_distributions_however_late_it_is_answered() -> None:
    recorder = Recorder()
    before = recorder.sent()
    recorder.measure()
    request(recorder, "heartbeat", 9.0, context={"path": GATEWAY, "measured": before})
    recorder.settled(measured=before)
    directly, late = recorder.sent(), recorder.sent()
    request(recorder, "heartbeat", 0.125, context={"path": DIRECT, "measured": directly})
    recorder.settled(measured=directly)
    recorder.add_overhead(-0.125)
    recorder.measuring = False
    after = recorder.sent()
    assert (before, directly, late, after) == (False, True, True, False)
    assert recorder.totals[AWAITED] == 1
    request(recorder, "heartbeat", 0.25, context={"path": GATEWAY, "measured": late})
    recorder.settled(measured=late)
    request(recorder, "heartbeat", 9.0, context={"path": GATEWAY, "measured": after})
    recorder.settled(measured=after)
    assert recorder.totals[AWAITED] == 0
    found = recorder.latencies()
    assert {path: (of.count, of.max) for path, of in found.items()} == {
        "gateway": (1, near(0.25)),
        "direct": (1, near(0.125)),
        "overhead": (1, near(-0.125)),
    }


def test_failures_are_counted_by_reason_and_have_no_latency() -> None:
    recorder = Recorder()
    request(recorder, "heartbeat", 0.5, context={"path": GATEWAY})
    for _ in range(2):
        request(recorder, "heartbeat", 3.0, exception=OSError("closed 1012"))
    request(recorder, "connect", 1.0, exception=OSError("refused 503 no_studio"))
    heartbeat, connect = recorder.requests()
    assert (heartbeat.name, heartbeat.count, heartbeat.failures) == ("heartbeat", 3, 2)
    assert heartbeat.p50 == heartbeat.p99 == heartbeat.max == near(0.5)
    assert connect == Request("connect", 1, 1, None, None, None)
    assert recorder.failures() == (
        Failure("heartbeat", "closed 1012", 2),
        Failure("connect", "refused 503 no_studio", 1),
    )
    assert recorder.failures("connect") == (Failure("connect", "refused 503 no_studio", 1),)


def test_the_most_connections_are_those_at_once() -> None:
    recorder = Recorder()
    for change in (recorder.opened, recorder.opened, recorder.ended, recorder.ended, recorder.opened):
        change()
    assert (recorder.totals[CONNECTIONS], recorder.totals[MOST_CONNECTIONS]) == (1, 2)


def test_a_second_is_taken_once() -> None:
    recorder, timeline = Recorder(), Timeline([])
    request(recorder, "heartbeat", 0.5, context={"path": GATEWAY})
    request(recorder, "heartbeat", 0.1, context={"path": DIRECT})
    request(recorder, "heartbeat", 0.1, exception=OSError("closed 1012"))
    first = timeline.look(merged(recorder), 1.0, 1.0)
    second = timeline.look(merged(recorder), 2.0, 1.0)
    request(recorder, "heartbeat", 0.25, context={"path": GATEWAY})
    third = timeline.look(merged(recorder), 3.0, 1.0)
    assert (first.messages, first.failures, first.p50, first.p99) == (1, 1, near(0.5), near(0.5))
    assert (second.messages, second.failures, second.p50) == (0, 0, None)
    assert (third.messages, third.failures, third.p50) == (1, 0, near(0.25))


def test_what_several_workers_have_counted_adds_up() -> None:
    one, other = Recorder(), Recorder()
    for recorder, seconds in ((one, 0.1), (other, 0.3)):
        recorder.measure()
        recorder.opened()
        recorder.closes["1012"] += 1
        recorder.totals["own"] += 2
        recorder.most["own"] = seconds
        request(recorder, "heartbeat", seconds, context={"path": GATEWAY, "measured": True})
        request(recorder, "connect", seconds, exception=OSError("refused 429"))
    both = merged(one, other)
    assert (both.totals[CONNECTIONS], both.totals["own"], both.most["own"]) == (2, 4, 0.3)
    assert both.closes == {"1012": 2}
    assert both.failures() == (Failure("connect", "refused 429", 2),)
    assert (both.latencies()["gateway"].count, both.latencies()["gateway"].max) == (2, near(0.3))
    assert both.latencies()["gateway"].p50 == near(0.1)


def test_percentiles_of_merged_histograms_are_those_of_all_values_and_not_the_mean_of_percentiles() -> None:
    values = [0.001] * 98 + [0.002] * 2
    quick, slow = Histogram(), Histogram()
    for each in values:
        quick.add(each)
    slow.add(9.0)
    quick.update(slow)
    assert quick.quantiles((0.5, 0.99, 1.0)) == [near(0.001), near(0.002), near(9.0)]


@pytest.mark.parametrize("seconds", [12.5, 0.00042, 1e-7, 0.0, -3e-5, -0.2])
def test_a_value_comes_back_from_its_bucket(seconds: float) -> None:
    histogram = Histogram()
    histogram.add(seconds)
    assert histogram.quantiles((0.0, 0.5, 1.0)) == [pytest.approx(seconds, rel=0.003, abs=3e-9)] * 3


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.501, 51.0), (0.99, 99.0), (1.0, 100.0)]
)
def test_quantiles_are_measured_values(share: float, value: float) -> None:
    assert quantile([float(number) for number in range(1, 101)], share) == value


def test_a_distribution_rises_and_nothing_has_none() -> None:
    histogram = Histogram()
    assert histogram.latency() is None
    for seconds in (0.3, 0.1, -0.2):
        histogram.add(seconds)
    found = histogram.latency()
    assert found is not None
    assert found.quantiles[0] == (0.0, near(-0.2))
    assert found.quantiles[-1] == (1.0, near(0.3))
    assert list(found.quantiles) == sorted(found.quantiles)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.00042, "s", "420 µs"),
        (-0.0042, "s", "-4.2 ms"),
        (1.5, "s", "1.5 s"),
        (0, "s", "0 s"),
        (3 << 20, "bytes", "3 MiB"),
        (999, "bytes", "999 B"),
        (0.25, "share", "25 %"),
        (1_000_000, "", "1,000,000"),
        (0.12345, "", "0.123"),
    ],
)
def test_numbers_read_well(value: float, unit: str, words: str) -> None:
    assert shown(value, unit) == words
