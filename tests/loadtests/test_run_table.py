"""The table at a run's end says what its numbers are of."""

from __future__ import annotations

from loadtests.runs.distribution import latency
from loadtests.runs.record import Run
from loadtests.runs.table import summary


def table(samples: int) -> str:
    distribution = latency([0.001 * number for number in range(samples)])
    assert distribution is not None
    return summary(
        Run(
            scenario="steady",
            about="",
            started="",
            seconds=1,
            gateway_url="ws://127.0.0.1:1/ws",
            latencies={"gateway": distribution},
        )
    )


def test_too_few_samples_for_a_percentile_are_told() -> None:
    assert "gateway: 99 samples: p99 is the greatest" in table(99)
    assert "p99 is the greatest" not in table(100)


def test_what_the_latencies_are_of_is_told() -> None:
    assert "of the measured time only" in table(100)
