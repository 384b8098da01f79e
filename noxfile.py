"""Every way to check the project, one session each: `nox --list` names them, `nox` runs the everyday ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"

PYTHONS = ["3.11", "3.12", "3.13"]
os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")  # the Pythons that are here, no others
# Hundreds of Pythons start here: what they import is compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
if PYENV.is_dir():
    # pyenv's commands answer only for the versions that are switched on: switch on one of each.
    found = {".".join(path.name.split(".")[:2]): path.name for path in sorted(PYENV.iterdir())}
    os.environ.setdefault("PYENV_VERSION", ":".join(found[xy] for xy in PYTHONS if xy in found))

PACKAGES = ["fake_base", "fake_auth", "fake_studio", "gateway", "harness"]
CODE = ["packages", "tests", "loadtests", "docs", "noxfile.py"]
DIST = Path("dist")

CORES = os.cpu_count() or 1
SIDE_BY_SIDE = ["-n", str(2 * CORES), "--dist", "worksteal"]
"""Tests wait for sockets, timers and processes half of their time, so there are twice as many workers as cores."""

CORE_TESTS = "tests/unit/core"
LOAD_TESTS = "tests/loadtests"
MUTANTS = "tests/mutants"
ELSEWHERE = [CORE_TESTS, LOAD_TESTS, MUTANTS]
"""What the session `tests` leaves to `core`, `smoke` and `conformance`."""

THOUSAND = "tests/integration/test_thousand_connections.py"
"""A test that takes ten seconds by day, and 30 in CI."""

PIN_FILES = {
    "tools.txt": ["--only-group", "tools"],
    "build.txt": ["--only-group", "build"],
    "gateway.txt": ["--package", "memmie-gateway", "--no-default-groups"],
    "fake-auth.txt": ["--package", "memmie-fake-auth", "--no-default-groups"],
    "fake-studio.txt": ["--package", "memmie-fake-studio", "--no-default-groups"],
    "run.txt": ["--all-packages", "--no-default-groups"],
    "dev.txt": ["--all-packages", "--group", "dev"],
    "containers.txt": ["--all-packages", "--group", "dev", "--group", "deploy"],
    "load.txt": ["--all-packages", "--group", "dev", "--group", "load"],
    "peers.txt": ["--only-group", "peers"],
    "fuzz.txt": ["--only-group", "fuzz"],
}

IMAGES = ["gateway", "fake-auth", "fake-studio"]
"""The Dockerfile's targets; the image of each is memmie-TARGET."""

IMAGE_SOURCES = ["deploy/Dockerfile", "packages", "requirements"]
"""All that goes into them."""

DOCKERFILES = ["deploy/Dockerfile", "tests/containers/netfilter/Dockerfile"]

BLACK_BOX = ["tests/integration/test_promises.py", "tests/integration/test_tokens.py"]
"""Tests that run against the gateway's image as well as against its process: `--memmie-target=container`."""

COMMANDS = {
    "memmie-gateway": ["memmie-gateway", "version"],
    "memmie-fake-auth": ["memmie-fake-auth", "version"],
    "memmie-fake-studio": ["memmie-fake-studio", "version"],
    "memmie-harness": ["memmie", "dev", "--once", "--port-base", "0"],
}
"""What shows that an installed wheel works. The harness finds the gateway only where that is installed, too."""

AS_BUILT = [f"--reinstall-package=memmie-{package.replace('_', '-')}" for package in PACKAGES]
"""Without it uv installs a wheel that it remembers from an earlier build, since the version is the same."""


def _install_editable(session: nox.Session) -> None:
    """Install the pinned versions of everything and the workspace as it lies here."""
    session.install("-r", "requirements/dev.txt", "-r", "requirements/workspace.txt")


def _build_wheels(session: nox.Session) -> list[str]:
    """Build every package into dist/; return the paths of the wheels."""
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--all-packages", "--wheel", "--out-dir", str(DIST), external=True)
    return [str(wheel) for wheel in sorted(DIST.glob("*.whl"))]


def _install_wheels(session: nox.Session) -> None:
    """Install the pinned versions of everything and the workspace as it would be released."""
    wheels = _build_wheels(session)
    session.install("-r", "requirements/dev.txt", *AS_BUILT, *wheels)


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
    session.install("-r", "requirements/load.txt", "-r", "requirements/workspace.txt")  # Locust's types, too
    mypy = ["mypy", "--num-workers", str(CORES)]
    session.run(*mypy, *(f"packages/{package}/src" for package in PACKAGES))
    session.run(*mypy, "tests", "loadtests", "docs", "noxfile.py")


@nox.session
def core(session: nox.Session) -> None:
    """The tests of core/: each module reaches 100 % branch coverage from its own test file alone."""
    _install_editable(session)
    data = {"COVERAGE_FILE": str(Path(session.create_tmp()).resolve() / "coverage")}
    session.run(
        "pytest", "-q", "-n", "auto", CORE_TESTS, "--cov=memmie_gateway.core", "--cov-branch", "--cov-report=",
        env=data,
    )  # fmt: skip
    session.run("python", f"{CORE_TESTS}/own_coverage.py", data["COVERAGE_FILE"])


@nox.session
def tests(session: nox.Session) -> None:
    """The tests of gateway, fakes and harness, against the built wheels. Arguments go to pytest."""
    _install_wheels(session)
    arguments = session.posargs or [f"--ignore={folder}" for folder in ELSEWHERE]
    session.run("pytest", *SIDE_BY_SIDE, *arguments)


@nox.session(python=PYTHONS, default=False)
def pythons(session: nox.Session) -> None:
    """The tests on every supported Python that is on this machine."""
    _install_wheels(session)
    session.run("pytest", *SIDE_BY_SIDE, *session.posargs)


@nox.session(default=False)
def wheels(session: nox.Session) -> None:
    """Each wheel installs into an empty environment and runs; so do the lines of the harness's README."""
    _build_wheels(session)
    pins = Path("requirements/run.txt").resolve()
    for name, command in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            session.run("uv", "venv", "--quiet", folder, external=True)
            names = [name, "memmie-gateway"] if name == "memmie-harness" else [name]
            session.run(
                "uv", "pip", "install", "--quiet", "--python", folder, "--find-links", str(DIST),
                "--constraint", str(pins), *AS_BUILT, *names, external=True,
            )  # fmt: skip
            session.run(str(Path(folder) / "bin" / command[0]), *command[1:], external=True)
    session.install("-r", "requirements/dev.txt", "-r", "requirements/workspace.txt")
    session.run("pytest", "tests/installing", env={"MEMMIE_DIST": str(DIST.resolve())})


def _engine_answers() -> bool:
    """Whether there is an engine that says something; one that only accepts is none."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = subprocess.run([docker, "info"], capture_output=True, check=False, timeout=20)  # noqa: S603 - the user's own
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def _revision(session: nox.Session) -> str:
    """The commit that images are built of; "-dirty" if what goes into them has changes that are in no commit."""
    revision = str(session.run("git", "rev-parse", "HEAD", external=True, silent=True)).strip()
    changes = session.run(
        "git", "status", "--porcelain", "--", ".dockerignore", *IMAGE_SOURCES, external=True, silent=True
    )
    return f"{revision}-dirty" if changes else revision


def _build_images(session: nox.Session) -> str:
    """Build every image with the client that is there, PYTHON_IMAGE names another base; return their revision."""
    base = (
        ["--build-arg", f"PYTHON_IMAGE={os.environ['PYTHON_IMAGE']}"] if "PYTHON_IMAGE" in os.environ else []
    )
    revision = _revision(session)
    version = tomllib.loads(Path("packages/gateway/pyproject.toml").read_text())["project"]["version"]
    labels = ["--build-arg", f"VERSION={version}", "--build-arg", f"REVISION={revision}"]
    # Debian's client has BuildKit inside; one without would need a plug-in for it.
    docker = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
    env = {"DOCKER_BUILDKIT": "1"}
    build = [docker, "build", "--quiet", *base]
    for target in IMAGES:
        session.run(
            *build, *labels, "--file", "deploy/Dockerfile", "--target", target,
            "--tag", f"memmie-{target}:{version}", "--tag", f"memmie-{target}:latest", ".",
            env=env, external=True,
        )  # fmt: skip
    session.run(
        *build, "--tag", "memmie-test-netfilter:latest", "tests/containers/netfilter", env=env, external=True
    )
    return revision


@nox.session(python=False, default=False)
def images(session: nox.Session) -> None:
    """Build the images memmie-gateway, memmie-fake-auth and memmie-fake-studio."""
    _build_images(session)


@nox.session(default=False)
def containers(session: nox.Session) -> None:
    """Build the images and break real containers of them. Needs a Docker engine. Arguments go to pytest."""
    if not _engine_answers():
        words = "no Docker engine answers (`docker info`): start one, or see CONTRIBUTING.md, Container tests"
        session.error(words) if os.environ.get("REQUIRE_DOCKER") == "1" else session.skip(words)
    session.install("-r", "requirements/containers.txt", "-r", "requirements/workspace.txt")
    session.run("hadolint", *DOCKERFILES)
    env = {"MEMMIE_IMAGE_REVISION": _build_images(session)}
    suite, black_box = ["tests/containers"], ["--memmie-target=container", *BLACK_BOX]
    runs = [suite, black_box]
    if session.posargs:
        names_tests = any(Path(argument.partition("::")[0]).exists() for argument in session.posargs)
        runs = [session.posargs if names_tests else [*suite, *session.posargs]]
    failed = False
    for arguments in runs:
        try:
            # Its containers are removed when it is interrupted, which takes longer than nox would wait.
            session.run("pytest", *arguments, env=env, interrupt_timeout=60)
        except CommandFailed:
            failed = True
    if failed:
        session.error("tests failed, see above")


@nox.session(default=False)
def autobahn(session: nox.Session) -> None:
    """The Autobahn test suite through the gateway: 60 cases as in CI. `-- --all` runs all 517, `-- --help` explains."""
    _install_editable(session)
    command = ["python", "-m", "tests.autobahn.run"]
    missing = str(session.run(*command, "--missing", silent=True)).strip()
    if missing:
        session.skip(f"not on this machine: {missing}")
    # Its programs are ended when it is interrupted, which takes longer than nox would wait.
    session.run(*command, *session.posargs, interrupt_timeout=30)


@nox.session(default=False)
def conformance(session: nox.Session) -> None:
    """The conformance kit: our mutants, and then the gateway; `-- --profile nginx` tests another one alone."""
    _install_editable(session)
    kit = ["memmie", "conformance"]
    if session.posargs:
        session.run(*kit, *session.posargs, interrupt_timeout=30)
        return
    session.run("pytest", *SIDE_BY_SIDE, MUTANTS)
    session.run(*kit, "--profile", "memmie", interrupt_timeout=30)
    # What else is installed: a part of the tests, some seconds each.
    session.run("python", "-m", "tests.harness.conformance.peers", "--short", interrupt_timeout=30)


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """All conformance tests against all mutants, compared with tests/mutants/table.json; `-- --write` writes it."""
    _install_editable(session)
    session.run("python", "-m", "tests.mutants.all_by_all", *session.posargs)


@nox.session(default=False)
def attack(session: nox.Session) -> None:
    """Attacks a gateway beside 100 good clients. `-- --together` takes half a minute, `-- --help` explains."""
    if not sys.platform.startswith("linux"):
        session.skip("it needs Linux, for addresses below 127.0.0.0/8")
    _install_editable(session)
    # Its processes are ended when it is interrupted, which takes longer than nox would wait.
    session.run("python", "-m", "tests.attack.run", *session.posargs, interrupt_timeout=30)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The peers benchmark: the costs of the gateway and of other proxies. Arguments go to the benchmark."""
    session.install(
        "-r", "requirements/dev.txt", "-r", "requirements/workspace.txt", "-r", "requirements/peers.txt"
    )
    session.run("python", "loadtests/bench.py", *session.posargs)


@nox.session(default=False)
def load(session: nox.Session) -> None:
    """The load scenarios: `nox -s load -- steady`, or Locust's web page with `locust -f`. `-- --help` explains."""
    session.install("-r", "requirements/load.txt", "-r", "requirements/workspace.txt")
    session.run("python", "loadtests/load.py", *session.posargs)


@nox.session(default=False)
def smoke(session: nox.Session) -> None:
    """The tests of loadtests/, a short load scenario, and what is longer in CI. `-- --slow` runs slow tests, too."""
    session.install("-r", "requirements/load.txt", "-r", "requirements/workspace.txt")
    tests = ["-p", "no:locust", LOAD_TESTS]
    session.run("pytest", "-n", str(3 * CORES // 2), "--dist", "worksteal", "-m", "not slow", *tests)
    if "--slow" in session.posargs:
        session.run("pytest", "-m", "slow", *tests)  # one after the other: each starts eight processes
    # The thresholds hold on a machine that does nothing else.
    session.run("python", "loadtests/load.py", "steady", "--connections", "200", "--seconds", "15")
    session.run("pytest", "-p", "no:locust", THOUSAND, env={"HEARTBEAT_SECONDS": "30"})


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Coverage-guided fuzzing of what strangers send: `nox -s fuzz -- --minutes 30`. It needs Linux."""
    _install_editable(session)
    session.install("-r", "requirements/fuzz.txt")
    session.run("python", "tests/fuzz/run.py", *session.posargs)


@nox.session(default=False)
def chaos(session: nox.Session) -> None:
    """Two minutes of faults under 200 clients. `-- --minutes 10 --seed 7` is longer, `-- --help` explains."""
    if not sys.platform.startswith("linux"):
        session.skip("it needs Linux: /proc, and addresses below 127.0.0.0/8")
    _install_editable(session)
    # Its processes are ended when it is interrupted, which takes longer than nox would wait.
    session.run("python", "-m", "tests.chaos.run", *session.posargs, interrupt_timeout=60)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Generate docs/settings.md and docs/closing.md from the code."""
    _install_editable(session)
    session.run("python", "docs/generate.py")


@nox.session(default=False)
def pins(session: nox.Session) -> None:
    """Resolve the dependencies again and write their versions and hashes to requirements/."""
    session.install("-r", "requirements/tools.txt")
    session.run("uv", "lock", "--upgrade")
    for name, selection in PIN_FILES.items():
        session.run(
            "uv", "export", "--quiet", "--frozen", "--no-emit-workspace", "--no-header", "--no-annotate",
            *selection, "--output-file", f"requirements/{name}",
        )  # fmt: skip
