"""Every way to check the project, one session each: `nox --list` names them, `nox` runs the everyday ones."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "core", "tests"]

PYTHONS = ["3.11", "3.12", "3.13"]
os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")  # the Pythons that are here, no others
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
if PYENV.is_dir():
    # pyenv's commands answer only for the versions that are switched on: switch on one of each.
    found = {".".join(path.name.split(".")[:2]): path.name for path in sorted(PYENV.iterdir())}
    os.environ.setdefault("PYENV_VERSION", ":".join(found[xy] for xy in PYTHONS if xy in found))

PACKAGES = ["fake_base", "fake_auth", "fake_studio", "gateway", "harness"]
CODE = ["packages", "tests", "loadtests", "docs", "noxfile.py"]
CORE = Path("packages/gateway/src/memmie_gateway/core")
DIST = Path("dist")

PIN_FILES = {
    "tools.txt": ["--only-group", "tools"],
    "gateway.txt": ["--package", "memmie-gateway", "--no-default-groups"],
    "run.txt": ["--all-packages", "--no-default-groups"],
    "dev.txt": ["--all-packages", "--group", "dev"],
}

COMMANDS = {
    "memmie-gateway": ["memmie-gateway", "version"],
    "memmie-fake-auth": ["memmie-fake-auth", "version"],
    "memmie-fake-studio": ["memmie-fake-studio", "version"],
    "memmie-harness": ["memmie", "dev", "--once", "--port-base", "0"],
}
"""What shows that an installed wheel works. The harness finds the gateway only where that is installed, too."""


def _install_editable(session: nox.Session) -> None:
    """Install the pinned versions of everything and the workspace as it lies here."""
    session.install("-r", "requirements/dev.txt", "-r", "requirements/workspace.txt")


def _build_wheels(session: nox.Session) -> list[str]:
    """Build every package into dist/; return the paths of the wheels."""
    shutil.rmtree(DIST, ignore_errors=True)
    for package in PACKAGES:
        session.run(
            "uv", "build", "--quiet", "--wheel", "--out-dir", str(DIST), f"packages/{package}", external=True
        )
    return [str(wheel) for wheel in sorted(DIST.glob("*.whl"))]


def _install_wheels(session: nox.Session) -> None:
    """Install the pinned versions of everything and the workspace as it would be released."""
    wheels = _build_wheels(session)
    again = [f"--reinstall-package=memmie-{package.replace('_', '-')}" for package in PACKAGES]
    session.install("-r", "requirements/dev.txt", *again, *wheels)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff (rules and format) and the direction of imports."""
    _install_editable(session)
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, over code, tests and noxfile."""
    _install_editable(session)
    session.run("mypy", *(f"packages/{package}/src" for package in PACKAGES))
    session.run("mypy", "tests", "loadtests", "docs", "noxfile.py")


@nox.session
def core(session: nox.Session) -> None:
    """Each module of core/ reaches 100 % branch coverage from its own test file alone."""
    _install_editable(session)
    for module in sorted(CORE.glob("[!_]*.py")):
        session.run(
            "pytest", "-q", "-p", "no:cacheprovider", "--no-header", f"tests/unit/core/test_{module.stem}.py",
            f"--cov=memmie_gateway.core.{module.stem}", "--cov-branch", "--cov-fail-under=100", "--cov-report=term-missing:skip-covered",
            env={"COVERAGE_FILE": str(Path(session.create_tmp()) / f"coverage.{module.stem}")},
        )  # fmt: skip


@nox.session
def tests(session: nox.Session) -> None:
    """Every test that needs no container and no browser, against the built wheels. Arguments go to pytest."""
    _install_wheels(session)
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """The tests on every supported Python that is on this machine."""
    _install_wheels(session)
    session.run("pytest", *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Each wheel installs into an empty environment with what it names itself, and runs."""
    _build_wheels(session)
    pins = Path("requirements/run.txt").resolve()
    for name, command in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            session.run("uv", "venv", "--quiet", folder, external=True)
            names = [name, "memmie-gateway"] if name == "memmie-harness" else [name]
            session.run(
                "uv", "pip", "install", "--quiet", "--python", folder, "--find-links", str(DIST),
                "--constraint", str(pins), *names, external=True,
            )  # fmt: skip
            session.run(str(Path(folder) / "bin" / command[0]), *command[1:], external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """The peers benchmark: gateway CPU per round trip beside other ways to do it. Arguments go to it."""
    _install_editable(session)
    session.run("python", "loadtests/bench.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Write the references in docs/ anew from the code."""
    _install_editable(session)
    session.run("python", "docs/generate.py")


@nox.session
def pins(session: nox.Session) -> None:
    """Resolve anew and export the pins, with hashes and without addresses, to requirements/."""
    session.install("-r", "requirements/tools.txt")
    session.run("uv", "lock", "--upgrade")
    for name, selection in PIN_FILES.items():
        session.run(
            "uv", "export", "--quiet", "--frozen", "--no-emit-workspace", "--no-header", "--no-annotate",
            *selection, "--output-file", f"requirements/{name}",
        )  # fmt: skip
