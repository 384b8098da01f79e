"""A run comes back from its run.json as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.loadtests.samples import latency

from loadtests.common.files import parsed
from loadtests.common.run import Event, Failure, Figure, Request, Run, Second, Verdict


def test_a_run_comes_back_from_its_json() -> None:
    run = Run(
        scenario="storm",
        about="a storm",
        started="2030-01-01T00:00:00+00:00",
        seconds=3.5,
        gateway_url="ws://127.0.0.1:1/ws",
        latencies={"gateway": latency([0.1, 0.2])},
        requests=(Request("connect", 1, 1, None, None, None),),
        failures=(Failure("connect", "refused 503", 1),),
        closes={"1012": 3},
        timeline=(Second(1.0, 2, 3, 0, 0.1, 0.2, None, None),),
        events=(Event(1.5, "cut"),),
        figures=(Figure("back after", 1.0, "s"),),
        thresholds=(Verdict("lost", "== 0", None, "not measured", passed=False),),
        measured="the 5 s before the cut",
        most_connections=7,
        stopped="not all back within 30 s",
        passed=False,
    )
    assert parsed(Run, json.dumps(run.as_json())) == run


def test_a_run_of_an_earlier_version_is_read() -> None:
    run = Run(scenario="storm", about="", started="", seconds=1, gateway_url="ws://127.0.0.1:1/ws")
    later = {"measured", "most_connections", "stopped"}
    assert (
        parsed(Run, json.dumps({name: value for name, value in run.as_json().items() if name not in later}))
        == run
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scenario": None}, "scenario: Field required"),
        ({"latencies": {"gateway": {}}}, r"latencies\.gateway\.count: Field required"),
        ({"latencies": 3}, "latencies: Input should be an object"),
        ({"requests": [{"nome": "x"}]}, r"requests\.0\.name: Field required"),
        ({"seconds": "3"}, "seconds: Input should be a valid number"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(changes: dict[str, Any], words: str) -> None:
    run = Run(scenario="storm", about="", started="", seconds=1, gateway_url="ws://127.0.0.1:1/ws")
    document = {name: value for name, value in {**run.as_json(), **changes}.items() if value is not None}
    with pytest.raises(ValueError, match=words):
        parsed(Run, json.dumps(document))
