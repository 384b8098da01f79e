"""A command without its libraries says what is missing and how to get it."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import sys
from asyncio.subprocess import PIPE
from importlib.metadata import version
from pathlib import Path

import pytest

from loadtests.libraries import demand, show_version

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
    assert line.startswith(f"{command}: these libraries are not installed: ")
    assert module in line
    assert "requirements/load.txt" in line


@pytest.mark.parametrize("command", ["bench.py", "load.py"])
def test_version_is_one_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [command, "--version"])
    with pytest.raises(SystemExit) as ended:
        show_version(command)
    assert ended.value.code is None
    assert capsys.readouterr().out == f"{command} {version('memmie-gateway')}\n"


NEEDS_LOCUST = pytest.mark.skipif(
    importlib.util.find_spec("locust") is None, reason="the load group is not installed"
)

WHILE_IMPORTING = """
import importlib.util
import os, runpy, signal, sys

_, module, number, command = sys.argv
sys.argv = [command, "steady"]

class Interrupt:
    def find_spec(name, *_):
        if name == module:
            os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Interrupt)
runpy.run_path(f"loadtests/{command}", run_name="__main__")
"""


@pytest.mark.parametrize("interrupt", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("command", "module"),
    [
        pytest.param("load.py", "gevent", marks=NEEDS_LOCUST),
        pytest.param("load.py", "locust.user", marks=NEEDS_LOCUST),
        ("bench.py", "asyncio.runners"),
    ],
)
async def test_an_interrupt_while_it_imports_ends_it_with_a_line(
    command: str, module: str, interrupt: signal.Signals
) -> None:
    code = ["env", "--default-signal=INT", sys.executable, "-c", WHILE_IMPORTING]
    process = await asyncio.create_subprocess_exec(
        *code, module, str(interrupt.value), command, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    out, words = await process.communicate()
    assert process.returncode == 130
    assert (out, words.decode()) == (b"", f"{command}: interrupted; nothing was started\n")


def test_what_is_there_is_not_complained_about(capsys: pytest.CaptureFixture[str]) -> None:
    demand("bench.py", "asyncio", "pytest")
    assert capsys.readouterr() == ("", "")
