"""docs/tutorials/gateway-in-ci.md: its files and commands as they are there, and those of its CI job."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "tutorials" / "gateway-in-ci.md").read_text(encoding="utf-8")
README = (ROOT / "packages" / "harness" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- ([^>]+) -->\n```\w+\n(.*?)```", TEXT, re.DOTALL)
FILES = {name.removeprefix("file "): content for name, content in BLOCKS if name.startswith("file ")}
JOB = FILES[".github/workflows/gateway.yml"]


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of the page with the programs of this environment."""
    scripts = sysconfig.get_path("scripts")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))
    }
    environment |= {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    # Plugins that only the tests of this project need would cost seconds.
    plugins = ["-p", "no:hypothesispytest", "-p", "no:locust"] if line.startswith("pytest") else []
    return subprocess.run(  # noqa: S603 - the commands of our own page
        [*shlex.split(line), *plugins],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def block(name: str) -> str:
    [content] = [content for title, content in BLOCKS if title == name]
    return str(content)


def test_every_command_is_run() -> None:
    commands = [content.strip() for name, content in BLOCKS if name.startswith("run")]
    assert commands[0] == "pytest"
    assert commands[1] == commands[2]
    steps = re.findall(r"run: (\w.*)$", JOB, re.MULTILINE)
    assert [step.partition(" --junit")[0] for step in steps] == [commands[0], commands[1]]


def test_the_job_installs_by_the_documented_line() -> None:
    [documented] = re.findall(r"<!-- install from git -->\n```sh\n(.*?)```", README, re.DOTALL)
    assert documented.strip() in JOB


@pytest.mark.slow
@pytest.mark.timeout(180)  # it starts pytest, the kit and gateways
def test_the_gateway_passes_in_the_end(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    pytest_command, *_ = re.findall(r"run: (\w.*)$", JOB, re.MULTILINE)

    tested = run(pytest_command, tmp_path)
    assert "3 passed" in tested.stdout, tested.stdout
    assert (tmp_path / "tests.xml").exists()

    conformance = block("run, fails").strip()
    found = run(conformance, tmp_path)
    assert found.returncode == 1, found.stdout + found.stderr
    failed = set(re.findall(r"^failed (\S+)", found.stdout, re.MULTILINE))
    assert "identity/user-ampersand" in failed
    assert all(name.startswith("identity/") for name in failed)

    gateway = FILES["gw.py"].replace("\nfrom aiohttp", f"{block('add to gw.py')}\nfrom aiohttp", 1)
    old, new = (
        f'{" " * 16}studio = await http.ws_connect(f"{{backend}}?user_id={{user}}")\n',
        block("replace in gw.py"),
    )
    assert old in gateway
    (tmp_path / "gw.py").write_text(gateway.replace(old, new), encoding="utf-8")
    fixed = run(f"{conformance} --junit conformance.xml", tmp_path)
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr
    assert (tmp_path / "conformance.xml").exists()
