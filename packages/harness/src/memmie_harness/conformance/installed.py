"""Whether the program of a profile is installed on this machine."""

from __future__ import annotations

from memmie_harness.conformance.profile import Profile
from memmie_harness.targets.command import find_program, search_path
from memmie_harness.targets.errors import TargetError


def not_installed(profile: Profile) -> str:
    """Return what to tell if a program of a profile is not installed; empty if it is."""
    for setup in profile.setups:
        start = setup.start
        if start.url:
            continue
        try:
            find_program(start.command[0], search_path(), start.folder)
        except TargetError as error:
            return f"not installed: {profile.name}; {error}"
    return ""
