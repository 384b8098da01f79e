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


def test_two_runs_of_one_second_have_two_folders(tmp_path: Path) -> None:
    default = tmp_path / "results" / "steady-now"
    with (
        run_folder(None, default) as first,
        run_folder(None, default) as second,
        run_folder(None, default) as third,
    ):
        assert [each.name for each in (first, second, third)] == [
            "steady-now",
            "steady-now-2",
            "steady-now-3",
        ]
        write_folder(RUN, second)
    assert list(default.parent.iterdir()) == [second]  # where nothing was left, nothing stays


def test_a_folder_with_a_run_is_not_written_over(tmp_path: Path) -> None:
    with run_folder(tmp_path, tmp_path / "other") as folder:
        write_folder(RUN, folder)
    with (
        pytest.raises(UsageError, match="already has the results of a run: choose another folder"),
        run_folder(tmp_path, tmp_path / "other"),
    ):
        pass
    assert (tmp_path / "run.json").exists()


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be created"), run_folder(tmp_path / "file" / "x", tmp_path):
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
