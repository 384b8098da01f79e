"""In the session `core`, measures what runs in core/ while it is imported, and then what each test file runs.

Coverage slows down everything that Python does. So it is stopped between the tests, where pytest does more than they do.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from coverage import Coverage

HERE = Path(__file__).parent

_coverage_key: pytest.StashKey[Coverage] = pytest.StashKey()
_file_key: pytest.StashKey[str] = pytest.StashKey()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Stop coverage, if there is one, where only xdist works; the tests run in its workers."""
    if session.config.getoption("dist", "no") != "no" and not hasattr(session.config, "workerinput"):
        _stop(session)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop coverage, if there is one: all modules of core/ are imported."""
    _stop(session)


def _stop(session: pytest.Session) -> None:
    if "coverage" in sys.modules:
        from coverage import Coverage  # noqa: PLC0415 - only pytest-cov imports it

        while (
            coverage := Coverage.current()
        ) is not None:  # pytest-cov starts a second one in a worker, which counts
            session.config.stash.setdefault(_coverage_key, coverage)
            coverage.stop()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(request: pytest.FixtureRequest) -> Generator[None, object, object]:
    """Measure the setup of a fixture."""
    with _measured(request.node):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Measure a test, unless its examples are random: what they reach differs from run to run, and takes longest."""
    if pyfuncitem.get_closest_marker("hypothesis") is not None:
        return (yield)
    with _measured(pyfuncitem):
        return (yield)


@contextlib.contextmanager
def _measured(node: pytest.Item) -> Iterator[None]:
    """Measure what runs in the block; it counts for the file of this test."""
    stash = node.config.stash
    if _coverage_key not in stash:
        yield
        return
    coverage, file = stash[_coverage_key], str(node.path.relative_to(HERE))
    coverage.start()
    try:
        if file != stash.get(_file_key, ""):  # a switch takes longer than most tests
            stash[_file_key] = file
            coverage.switch_context(file)
        yield
    finally:
        coverage.stop()
