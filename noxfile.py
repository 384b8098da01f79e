"""Every way to check the project, one session each: `nox --list` names them, `nox` runs the everyday ones."""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "core", "tests"]

PYTHONS = ["3.11", "3.12", "3.13"]
ROOT = Path(__file__).parent
PACKAGES = ["fake_base", "fake_auth", "fake_studio", "gateway", "harness"]
CODE = ["packages", "tests", "loadtests", "noxfile.py"]
PIN_FILES = {
    "tools.txt": ["--only-group", "tools"],
    "run.txt": ["--all-packages", "--no-default-groups"],
    "gateway.txt": ["--package", "memmie-gateway", "--no-default-groups"],
    "dev.txt": ["--all-packages", "--group", "dev"],
}


@nox.session
def pins(session: nox.Session) -> None:
    """Resolve anew and export the pins, with hashes and without addresses, to requirements/."""
    session.install("-r", "requirements/tools.txt")
    session.run("uv", "lock", "--upgrade")
    for name, selection in PIN_FILES.items():
        session.run(
            "uv", "export", "--quiet", "--frozen", "--no-emit-workspace", "--no-header",
            *selection, "--output-file", f"requirements/{name}",
        )  # fmt: skip
