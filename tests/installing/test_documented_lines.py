"""The lines of the harness's README that install it, each run in an environment that has its dependencies only.

The session `wheels` runs them, because each takes seconds; it sets MEMMIE_DIST to the folder of fresh wheels, and
shows that each wheel names its dependencies. Here, pip would spend most of the time on them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "packages/harness/README.md").read_text(encoding="utf-8")
MEMBERS = {"memmie-fake-auth", "memmie-fake-base", "memmie-fake-studio", "memmie-gateway", "memmie-harness"}
DIST = os.environ.get("MEMMIE_DIST", "")

pytestmark = [
    pytest.mark.skipif(not DIST, reason="the session `wheels` runs these"),
    pytest.mark.timeout(600),  # an index can be slow
]


def documented(name: str) -> str:
    """Return the block of shell code after the README's comment `<!-- NAME -->`."""
    [block] = re.findall(rf"<!-- {name} -->\n```sh\n(.*?)```", README, re.DOTALL)
    return str(block)


@pytest.fixture(params=["pip", "uv"])
def installer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment with pip and with the dependencies of every member, at their pinned versions."""
    folder = tmp_path / "environment"
    run("uv", "venv", "--quiet", "--seed", "--python", sys.executable, str(folder))
    pins = ROOT / "requirements" / "run.txt"
    run("uv", "pip", "install", "--quiet", "--python", str(folder), "--requirement", str(pins))
    return folder


def run(*command: str, **variables: str) -> str:
    done = subprocess.run(  # noqa: S603 - this test's own programs
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def install(lines: str, installer: str, environment: Path) -> None:
    """Run lines of the README in an environment."""
    if installer == "uv":
        lines = lines.replace("pip install", f"uv pip install --quiet --python {environment}")
    search = f"{environment / 'bin'}:{os.environ['PATH']}"
    run("sh", "-ec", lines, PATH=search, VIRTUAL_ENV=str(environment))


def sources(environment: Path) -> dict[str, str]:
    """Where each member was installed from, as pip and uv write it down (PEP 610); "" is an index."""
    program = (
        "import json, importlib.metadata as m\n"
        f"urls = {{name: m.distribution(name).read_text('direct_url.json') for name in {sorted(MEMBERS)}}}\n"
        "print(json.dumps({name: json.loads(text)['url'] if text else '' for name, text in urls.items()}))"
    )
    found: dict[str, str] = json.loads(run(str(environment / "bin/python"), "-c", program))
    return found


def works(environment: Path) -> None:
    run(str(environment / "bin/memmie"), "dev", "--once", "--port-base", "0")


def test_from_a_git_url(installer: str, environment: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone.git"
    run("git", "clone", "--quiet", "--bare", "--single-branch", str(ROOT), str(clone))
    # pip clones it once for each member, so the history is left out.
    git = ("git", "-C", str(clone), "-c", "user.name=test", "-c", "user.email=test@example.com")
    commit = run(*git, "commit-tree", "HEAD^{tree}", "-m", "Everything").strip()
    run(*git, "update-ref", "HEAD", commit)
    lines, replaced = re.subn(
        r"git\+https://[^\s;]+", f"git+{clone.as_uri()}", documented("install from git")
    )
    assert replaced == 1

    install(lines, installer, environment)

    assert sources(environment) == dict.fromkeys(MEMBERS, clone.as_uri())
    works(environment)


def test_from_a_folder_of_wheels(installer: str, environment: Path) -> None:
    lines = documented("install from wheels").replace("path/to/dist", DIST)
    install(lines, installer, environment)

    for name, url in sources(environment).items():
        assert url.startswith(f"{Path(DIST).absolute().as_uri()}/{name.replace('-', '_')}-"), name
    works(environment)


def test_a_wheel_that_was_built_again_is_installed_again(
    installer: str, environment: Path, tmp_path: Path
) -> None:
    """Its version is the same, so a line that names versions would install the wheel that was there before."""
    folder = tmp_path / "dist"
    folder.mkdir()
    lines = documented("install from wheels").replace("path/to/dist", str(folder))
    for mark in ("first", "second"):
        for wheel in Path(DIST).glob("*.whl"):
            copy = folder / wheel.name
            copy.write_bytes(wheel.read_bytes())
            if wheel.name.startswith("memmie_harness-"):
                with zipfile.ZipFile(copy, "a") as archive:
                    archive.writestr("memmie_harness/mark.txt", mark)
        install(f"{lines.strip()} --no-deps", installer, environment)
        [found] = environment.glob("lib/*/site-packages/memmie_harness/mark.txt")
        assert found.read_text() == mark
