"""What a profile needs on this machine: its program, and whether all of it is installed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from memmie_harness.conformance.profile import Profile, Start
from memmie_harness.targets.command import find_program, search_path
from memmie_harness.targets.errors import TargetError

SERVERS: Final = os.pathsep.join(["/usr/local/sbin", "/usr/sbin"])
"""Where systems put servers; not every PATH has it."""


def not_installed(profile: Profile) -> str:
    """Return what to tell if the program of a profile is not installed; empty if it is, or if the profile cannot tell.

    Only a profile that says how its program is installed can tell.
    """
    start = profile.main.start
    if (
        start.runs_image
        or not start.install
        or (_program(start) and all(Path(file).exists() for file in start.requires))
    ):
        return ""
    return f"not installed: {profile.name}; install it by: {start.install}"


def values(start: Start) -> Mapping[str, str]:
    """Return the value of {PROGRAM}, if there is one.

    Raises:
        TargetError: none of the programs is installed.
    """
    if start.runs_image or not start.programs:
        return {}
    program = _program(start)
    if program is None:
        raise TargetError(
            f"there is no program {' or '.join(map(repr, start.programs))}. {start.install or 'Install it'}"
        )
    return {"PROGRAM": str(program)}


def _program(start: Start) -> Path | None:
    for name in start.programs or start.command[:1]:
        package, colon, path = name.partition(":")
        try:
            return (
                _in_package(package, path)
                if colon
                else find_program(name, f"{search_path()}{os.pathsep}{SERVERS}", start.folder)
            )
        except TargetError:
            continue
    return None


def _in_package(package: str, path: str) -> Path:
    """Return a file inside an installed Python package, which some packages with a server do not put into PATH."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if os.access(program := Path(folder, path), os.X_OK):
            return program
    raise TargetError(f"there is no {path} in the Python package {package}")
