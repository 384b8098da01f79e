"""A command without its libraries says what is missing and how to get it."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from loadtests.libraries import demand

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("command", "module", "run"),
    [
        ("bench.py", "picows", "runpy.run_path('loadtests/bench.py', run_name='__main__')"),
        ("load.py", "locust", "runpy.run_path('loadtests/load.py', run_name='__main__')"),
        ("report", "plotly", "runpy.run_module('loadtests.report', run_name='__main__')"),
    ],
)
async def test_what_is_missing_is_named_in_one_line(command: str, module: str, run: str) -> None:
    without = f"import runpy, sys; sys.modules[{module!r}] = None; {run}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", without, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    out, words = await process.communicate()
    assert process.returncode == 2
    assert out == b""
    [line] = words.decode().splitlines()
    assert line.startswith(f"{command}: not installed here: ")
    assert module in line
    assert "requirements/load.txt" in line


def test_what_is_there_is_not_complained_about(capsys: pytest.CaptureFixture[str]) -> None:
    demand("bench.py", "asyncio", "pytest")
    assert capsys.readouterr() == ("", "")
