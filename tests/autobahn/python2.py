"""The test suite in an environment of its own: it runs on Python 2.7 only.

`virtualenv.txt` and `python2.txt` pin what is installed. virtualenv 20.15.1 is the last version that makes environments
for Python 2.7, and pip 20.3 is one of the last that runs there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PINS: Final = HERE / "python2.txt"
VIRTUALENV: Final = HERE / "virtualenv.txt"
SEEDS: Final = ("--pip", "20.3", "--setuptools", "44.1.1", "--wheel", "0.37.1")
INSTALL_SECONDS: Final = 600.0


def find_python2() -> Path | None:
    """Return the path of a Python 2.7, on the PATH or from pyenv; None if this machine has none."""
    on_path = shutil.which("python2.7")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [
        *([Path(on_path)] if on_path else []),
        *sorted(pyenv.glob("2.7.*/bin/python2.7"), reverse=True),
    ]
    return next((path for path in candidates if _runs(path)), None)


def _runs(python: Path) -> bool:
    # A shim of pyenv is on the PATH even if no Python 2.7 is switched on.
    done = subprocess.run([python, "-c", "pass"], capture_output=True, check=False, timeout=20)  # noqa: S603 - a Python
    return done.returncode == 0


def install_suite(python2: Path, folder: Path) -> Path:
    """Install the test suite, unless it is installed already; return the path of its command `wstest`.

    Args:
        python2: a Python 2.7.
        folder: where the environments are.

    Raises:
        subprocess.CalledProcessError: an installation failed; its output is on the terminal.
    """
    wstest = folder / "suite" / "bin" / "wstest"
    done = folder / "installed"
    # An environment does not work in another folder.
    state = hashlib.sha256(PINS.read_bytes() + VIRTUALENV.read_bytes() + bytes(folder)).hexdigest()
    if not (done.exists() and done.read_text() == state and wstest.exists()):
        shutil.rmtree(folder, ignore_errors=True)
        maker = folder / "maker"
        _run(sys.executable, "-m", "venv", maker)
        _run(maker / "bin" / "pip", "install", "-qq", "--no-deps", "-r", VIRTUALENV)
        _run(maker / "bin" / "virtualenv", "--quiet", "--python", python2, *SEEDS, folder / "suite")
        pip = (folder / "suite" / "bin" / "python", "-m", "pip")
        _run(*pip, "install", "-qq", "--no-deps", "-r", PINS)
        done.write_text(state)
    return wstest


def _run(*command: str | Path) -> None:
    # pip of Python 2.7 says at each start that nobody maintains it.
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONWARNINGS": "ignore"}
    subprocess.run(command, check=True, timeout=INSTALL_SECONDS, env=environment)  # noqa: S603
