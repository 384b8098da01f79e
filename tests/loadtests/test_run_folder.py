"""Where a run leaves its results: in a folder that no other run has."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from loadtests.common.errors import UsageError
from loadtests.common.run import Run, Second
from loadtests.scenarios.results import run_folder, write_folder

RUN = Run(
    scenario="steady",
    about="",
    started="2026-01-01T00:00:00+00:00",
    seconds=1,
    gateway_url="ws://127.0.0.1:1/ws",
    timeline=(Second(1.0, 3, 5, 0, 0.001, 0.002, 0.25, 1000),),
)


def test_of_two_runs_of_one_second_one_has_the_folder(tmp_path: Path) -> None:
    default = tmp_path / "results" / "steady-now"
    with run_folder(default, may_exist=False):
        with (
            pytest.raises(UsageError, match="cannot be created: File exists"),
            run_folder(default, may_exist=False),
        ):
            pass
        assert default.exists()  # the other one is refused, and removes nothing


def test_a_folder_stays_if_something_was_left_in_it(tmp_path: Path) -> None:
    empty, full, given = (tmp_path / name for name in ("empty", "full", "given"))
    given.mkdir()
    for folder in (empty, full, given):
        with run_folder(folder, may_exist=True):
            if folder == full:
                write_folder(RUN, folder)
    assert set(tmp_path.iterdir()) == {full, given}


def test_a_folder_with_a_run_is_not_written_over(tmp_path: Path) -> None:
    with run_folder(tmp_path, may_exist=True) as folder:
        write_folder(RUN, folder)
    with (
        pytest.raises(UsageError, match="already has the results of a run: choose another folder"),
        run_folder(tmp_path, may_exist=True),
    ):
        pass
    assert (tmp_path / "run.json").exists()


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "x"
    with pytest.raises(UsageError, match="cannot be created"), run_folder(folder, may_exist=True):
        pass


def test_columns_name_their_units(tmp_path: Path) -> None:
    write_folder(RUN, tmp_path)
    with (tmp_path / "timeline.csv").open() as file:
        assert list(csv.DictReader(file)) == [
            {
                "at_seconds": "1.0", "connections": "3", "messages": "5", "failures": "0",
                "p50_seconds": "0.001", "p99_seconds": "0.002",
                "gateway_cpu_cores": "0.25", "gateway_rss_bytes": "1000",
            }
        ]  # fmt: skip
