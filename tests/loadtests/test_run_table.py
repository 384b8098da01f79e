"""The table at a run's end says what its numbers are of."""

from __future__ import annotations

from dataclasses import replace

from tests.loadtests.samples import latency

from loadtests.common.run import WHOLE, Run
from loadtests.scenarios.results import summary


def run(samples: int) -> Run:
    return Run(
        scenario="steady",
        about="",
        started="",
        seconds=1,
        gateway_url="ws://127.0.0.1:1/ws",
        latencies={"gateway": latency(0.001 * number for number in range(samples))},
    )


def test_too_few_samples_for_a_percentile_are_told() -> None:
    assert "gateway has only 99 samples, so p99 is the maximum" in summary(run(99))
    assert "p99 is the maximum" not in summary(run(100))


def test_what_the_latencies_are_of_is_told() -> None:
    rest = "all other figures are from the whole run, including ramp and end"
    storm, soak = replace(run(100), measured="the 5 s before the cut"), replace(run(100), measured=WHOLE)
    assert f"latencies are from the measured time only; {rest}" in summary(run(100)).splitlines()
    assert f"latencies are from the 5 s before the cut only; {rest}" in summary(storm).splitlines()
    assert "latencies are from the whole run" in summary(soak).splitlines()


def test_a_run_that_could_not_go_on_says_so_in_a_line() -> None:
    assert "could not go on: not all back" in summary(replace(run(1), stopped="not all back")).splitlines()
