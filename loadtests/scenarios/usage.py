"""What is wrong with the options of a run, before anything is started or loaded."""

from __future__ import annotations

from argparse import Namespace
from typing import Final

import psutil

from loadtests.scenarios.scenario import Scenario
from loadtests.stack.system import System

_FOREIGN: Final = ("direct", "auth_url", "token_file", "gateway_pid", "studio_pid")
"""Options about a system that runs already."""


class UsageError(Exception):
    """The options cannot be used; says which, and what to do."""


def foreign_system(options: Namespace) -> System:
    """Return the system that the options name."""
    return System(
        gateways=tuple(options.gateway),
        gateway_pids=tuple(options.gateway_pid),
        studios=tuple(options.direct),
        studio_pids=tuple(options.studio_pid),
        auth_url=options.auth_url or "",
    )


def check_options(scenario: Scenario, options: Namespace) -> None:
    """Look at what can be known before a run.

    Raises:
        UsageError: the options do not go together, or a process is not there.
    """
    if not options.gateway:
        for name in _FOREIGN:
            if getattr(options, name):
                raise UsageError(f"{_flag(name)} is for --gateway, which is missing")
        return
    if options.auth_url and options.token_file:
        raise UsageError("--auth-url mints tokens and --token-file has some: give one of them")
    if not options.auth_url and not options.token_file:
        raise UsageError(
            f"{scenario.name} needs --auth-url http://… (a fake Auth, which mints tokens) or --token-file FILE: "
            "users connect with a token"
        )
    if missing := scenario.missing(foreign_system(options)):
        raise UsageError(f"{scenario.name} needs {missing}")
    for name in ("gateway_pid", "studio_pid"):
        for pid in getattr(options, name):
            if not psutil.pid_exists(pid):
                raise UsageError(f"there is no process {pid} on this machine ({_flag(name)})")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
