"""Every command of the project: `--version` prints one line, and without a reader all end quietly."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points

import pytest

COMMANDS = {
    script.name: script
    for script in entry_points(group="console_scripts")
    if script.dist is not None and script.dist.name.startswith("memmie-")
}


@pytest.fixture(params=sorted(COMMANDS))
def command(request: pytest.FixtureRequest) -> Callable[[list[str]], int]:
    main: Callable[[list[str]], int] = COMMANDS[request.param].load()

    def run(arguments: list[str]) -> int:
        try:
            return main(arguments)
        except SystemExit as ending:
            return int(ending.code or 0)

    return run


def test_there_are_four() -> None:
    assert sorted(COMMANDS) == ["memmie", "memmie-fake-auth", "memmie-fake-studio", "memmie-gateway"]


def test_version_is_one_line(command: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["--version"]) == 0
    assert re.fullmatch(r"(memmie-\S+ )?\d+\.\d+\.\d+\n", capsys.readouterr().out)


@contextlib.contextmanager
def no_reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Standard output is a pipe that nobody reads any more, as after `| head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream, monkeypatch.context() as patch:  # noqa: PTH123 - a descriptor
        patch.setattr(sys, "stdout", stream)
        yield
        stream.flush()  # as Python does at the end


@pytest.mark.parametrize("arguments", [["--version"], ["version"], ["--help"]], ids=" ".join)
def test_without_a_reader_it_ends_quietly(
    command: Callable[[list[str]], int],
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with no_reader(monkeypatch):
        assert command(arguments) in (0, 1)
    assert capfd.readouterr().err == ""
