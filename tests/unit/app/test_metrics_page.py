"""The text of `/metrics`: how often it is made, and in which format."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from memmie_gateway.app.metrics_page import MetricsPage

TEXT, OPENMETRICS = "text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0"


class Counting:
    """Counts how often it is collected."""

    def __init__(self) -> None:
        self.times = 0

    def collect(self) -> Iterator[Metric]:
        self.times += 1
        yield GaugeMetricFamily("times", "How often.", self.times)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def registry(counting: Counting) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(counting)
    counting.times = 0  # the registry looks at the names
    return registry


def test_it_is_made_at_most_once_in_a_while(registry: CollectorRegistry, counting: Counting) -> None:
    page = MetricsPage(registry, 1)
    texts = [page.text([], now)[0] for now in (10.0, 10.0, 10.999, 11.0, 11.5)]
    assert counting.times == 2
    assert texts[0] == texts[1] == texts[2] != texts[3] == texts[4]


def test_it_may_be_made_every_time(registry: CollectorRegistry, counting: Counting) -> None:
    page = MetricsPage(registry, 0)
    for times, now in enumerate((10.0, 10.0, 9.0, 10.0), start=1):
        page.text([], now)
        assert counting.times == times


@pytest.mark.parametrize(
    ("accepted", "content_type"),
    [
        ([], TEXT),
        (["*/*"], TEXT),
        (["text/html", "text/plain;version=0.0.4;q=0.5"], TEXT),
        (["application/openmetrics-text; version=1.0.0"], OPENMETRICS),
        (["text/plain;q=0.5", "Application/OpenMetrics-Text ;version=0.0.1"], OPENMETRICS),
        # What the client library's own choice failed at, or made another text for.
        (["application/openmetrics-text; version=a"], OPENMETRICS),
        (["application/openmetrics-text; version=1.a.0; escaping=\xff"], OPENMETRICS),
        (["application/openmetrics-text-x"], TEXT),
        ([";;;", "=", "/"], TEXT),
    ],
)
def test_the_format_is_one_of_two(
    registry: CollectorRegistry, accepted: list[str], content_type: str
) -> None:
    page = MetricsPage(registry, 1)
    text, shown = page.text(accepted, 10.0)
    assert shown == f"{content_type}; charset=utf-8"
    assert (b"# EOF" in text) is (content_type == OPENMETRICS)
    assert len(page._pages) == 1
