"""Whether the program of a profile is installed, and what {PROGRAM} stands for."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from memmie_harness import cli
from memmie_harness.conformance.installed import not_installed, values
from memmie_harness.conformance.profile import Profile, Setup, Start
from memmie_harness.conformance.profile_file import load_profile
from memmie_harness.conformance.runner import version_of
from memmie_harness.targets import TargetError


def profile(
    programs: Sequence[str], *, requires: Sequence[str] = (), install: str = "apt install gone"
) -> Profile:
    start = Start(command=["{PROGRAM}"], programs=programs, requires=requires, install=install)
    return Profile("gw", "gw", [Setup("main", start, {})], version=["{PROGRAM}", "-c", "print('1.2')"])


def test_the_first_program_that_is_installed_is_taken() -> None:
    found = profile(["no-such-program", sys.executable, "sh"])

    assert not_installed(found) == ""
    assert values(found.main.start) == {"PROGRAM": sys.executable}


def test_a_program_can_be_inside_a_python_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "a_package_with_a_server" / "bin" / "server"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "a_package_with_a_server" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    assert values(profile(["a_package_with_a_server:bin/server"]).main.start) == {"PROGRAM": str(program)}
    assert "not installed: gw" in not_installed(profile(["a_package_with_a_server:bin/other"]))
    assert "not installed: gw" in not_installed(profile(["no_such_package:bin/server"]))


def test_what_is_missing_is_told_with_how_to_install_it() -> None:
    assert not_installed(profile(["no-such-program"])) == "not installed: gw; install it by: apt install gone"
    assert not_installed(profile([sys.executable], requires=["/no/such/library"])).startswith("not installed")
    assert not_installed(profile([sys.executable], requires=[sys.executable])) == ""
    with pytest.raises(TargetError, match=r"there is no program 'a' or 'b'\. apt install gone"):
        values(profile(["a", "b"]).main.start)


def test_a_profile_that_does_not_say_how_to_install_its_program_is_run() -> None:
    """Then the error of the run says which program there is not."""
    assert not_installed(profile(["no-such-program"], install="")) == ""


async def test_the_version_is_asked_of_the_same_program() -> None:
    assert await version_of(profile([sys.executable])) == "1.2"
    assert await version_of(profile(["no-such-program"])) == ""


def test_the_run_ends_with_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gw.toml"
    file.write_text(
        'name = "gw"\n[start]\nprograms = ["no-such-program"]\ninstall = "pip install gw"\ncommand = "{PROGRAM}"\n'
    )

    assert cli.main(["conformance", "--profile", str(file)]) == 2
    assert capsys.readouterr().err == "memmie conformance: not installed: gw; install it by: pip install gw\n"


@pytest.mark.parametrize("name", ["nginx", "haproxy", "envoy", "caddy", "traefik", "go"])
def test_the_profiles_of_other_products_say_how_to_install_them(name: str) -> None:
    assert "install" in load_profile(name).main.start.install


async def ended(pid: int) -> None:
    """Wait until a process that was killed has ended; perhaps nobody has collected it yet."""
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_a_version_command_that_does_not_end_is_ended_with_its_children() -> None:
    script = "sleep 60 & echo; echo $!; while :; do echo more; done"
    endless = replace(profile([]), version=["sh", "-c", script])

    said = await asyncio.wait_for(version_of(endless), 10)

    assert said.isdecimal()
    await asyncio.wait_for(ended(int(said)), 5)
