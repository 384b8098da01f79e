"""What a run counts, and what is left of it as JSON."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.common.distribution import latency, quantile
from loadtests.common.run import Failure, Request
from loadtests.common.units import shown
from loadtests.runs.recorder import DIRECT, GATEWAY, Recorder


def request(recorder: Recorder, name: str, seconds: float, **more: Any) -> None:
    recorder.request(request_type="WS", name=name, response_time=seconds * 1000, response_length=0, **more)


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
    recorder.stop_measuring()
    after = recorder.sent()
    assert (before, directly, late, after) == (False, True, True, False)
    assert recorder.awaited == 1
    request(recorder, "heartbeat", 0.25, context={"path": GATEWAY, "measured": late})
    recorder.settled(measured=late)
    request(recorder, "heartbeat", 9.0, context={"path": GATEWAY, "measured": after})
    recorder.settled(measured=after)
    assert recorder.awaited == 0
    found = recorder.latencies()
    assert {path: (of.count, of.max) for path, of in found.items()} == {
        "gateway": (1, 0.25),
        "direct": (1, 0.125),
        "overhead": (1, -0.125),
    }


def test_failures_are_counted_by_reason_and_have_no_latency() -> None:
    recorder = Recorder()
    request(recorder, "heartbeat", 0.5, context={"path": GATEWAY})
    for _ in range(2):
        request(recorder, "heartbeat", 3.0, exception=OSError("closed 1012"))
    request(recorder, "connect", 1.0, exception=OSError("refused 503 no_studio"))
    assert recorder.requests() == (
        Request("heartbeat", 3, 2, 0.5, 0.5, 0.5),
        Request("connect", 1, 1, None, None, None),
    )
    assert recorder.failures() == (
        Failure("heartbeat", "closed 1012", 2),
        Failure("connect", "refused 503 no_studio", 1),
    )
    assert (recorder.failed_to("connect"), recorder.failed_to("heartbeat", "connect")) == (1, 3)


def test_the_most_connections_are_those_at_once() -> None:
    recorder = Recorder()
    for change in (recorder.opened, recorder.opened, recorder.ended, recorder.ended, recorder.opened):
        change()
    assert (recorder.connections, recorder.most_connections) == (1, 2)


def test_a_second_is_taken_once() -> None:
    recorder = Recorder()
    request(recorder, "heartbeat", 0.5, context={"path": GATEWAY})
    request(recorder, "heartbeat", 0.1, context={"path": DIRECT})
    request(recorder, "heartbeat", 0.1, exception=OSError("closed 1012"))
    first, second = recorder.take_second(), recorder.take_second()
    assert (first.messages, first.failures, first.p50, first.p99) == (1, 1, 0.5, 0.5)
    assert (second.messages, second.failures, second.p50) == (0, 0, None)


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.501, 51.0), (0.99, 99.0), (1.0, 100.0)]
)
def test_quantiles_are_measured_values(share: float, value: float) -> None:
    assert quantile([float(number) for number in range(1, 101)], share) == value


def test_a_distribution_rises_and_nothing_has_none() -> None:
    found = latency([0.3, 0.1, -0.2])
    assert found is not None
    assert found.quantiles[0] == (0.0, -0.2)
    assert found.quantiles[-1] == (1.0, 0.3)
    assert list(found.quantiles) == sorted(found.quantiles)
    assert latency([]) is None


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
