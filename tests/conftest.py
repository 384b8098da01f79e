"""How tests are collected: by several workers of pytest-xdist in different orders, and once for the garbage collector.

Each worker imports all test files. In a fresh clone, most of the time goes into compiling them, and the workers would all
compile the same file at the same time. So each worker begins at another place, and finds compiled what the others had.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from os import environ

import pytest

WORKER = int(environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
WORKERS = int(environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector, and keep what is collected out of its sight: all of it stays to the end.

    Otherwise the collector looks at thousands of tests and modules again and again, for more than a tenth of a run.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Begin in each folder at the share of this worker."""
    report = yield
    if isinstance(collector, pytest.Dir):
        start = len(report.result) * WORKER // WORKERS
        report.result = report.result[start:] + report.result[:start]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests back into the order of their files, which must be the same in all workers."""
    if WORKERS > 1:
        items.sort(key=lambda item: item.path.parts)
