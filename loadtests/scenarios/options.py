"""The options of a scenario, added to Locust's own, and what is wrong with them before anything runs."""

from __future__ import annotations

from argparse import Action, ArgumentParser, ArgumentTypeError, BooleanOptionalAction, Namespace
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from loadtests.common.errors import UsageError
from loadtests.common.options import MOST_CONNECTIONS, seconds, whole
from loadtests.common.supervisor import ROOT
from loadtests.scenarios.director import SETTLE_SECONDS
from loadtests.scenarios.scenario import AddArgument, Scenario
from loadtests.stack.system import System

THRESHOLDS: Final = ROOT / "loadtests" / "thresholds.toml"

RAMP_PER_SECOND: Final = 250
"""New users a second unless -r says otherwise."""

STOP_SECONDS: Final = 15
"""How long users may take to end what they are at and to close, unless --stop-timeout says otherwise."""

_PARTS: Final = {1: "all of it", 2: "the half {} only", 3: "the third {} only"}

_FOREIGN: Final = ("direct", "auth_url", "token_file", "gateway_pid", "studio_pid")
"""Options about a system that runs already."""


def add_options(scenario: Scenario, parser: ArgumentParser) -> None:
    """Add a scenario's options to a parser, and its values for Locust's own."""
    parser.set_defaults(num_users=scenario.connections, spawn_rate=RAMP_PER_SECOND, stop_timeout=STOP_SECONDS)
    group = parser.add_argument_group(f"what {scenario.name} does")

    def add(*names: str, **details: Any) -> Action:
        action = group.add_argument(*names, **details)
        setattr(action, "include_in_web_ui", True)  # noqa: B010 - Locust's own attribute of an argparse action
        return action

    if scenario.timed:
        part = _PARTS[scenario.part].format(scenario.measured)
        add(
            "--seconds", type=seconds, metavar="SECONDS",
            help=f"length of the run after the ramp and {SETTLE_SECONDS:g} s to settle; latencies are of {part} "
            f"(default: what -t leaves, or {scenario.seconds:g})",
        )  # fmt: skip
    scenario.add_options(add)
    group.add_argument(
        "--thresholds", default=str(THRESHOLDS), metavar="FILE",
        help="what must hold (default: loadtests/thresholds.toml)",
    )  # fmt: skip
    group.add_argument(
        "--out", type=_directory, metavar="DIR", help="folder for run.json, the CSV files and the report"
    )
    group.add_argument(
        "--pin", action=BooleanOptionalAction, default=scenario.pinned,
        help="give a gateway that is started here a core for itself, and everything else the others",
    )  # fmt: skip
    add(
        "--within", type=seconds, default=30.0, metavar="SECONDS",
        help="how long all users may take to connect, or to come back (default: 30)",
    )  # fmt: skip
    _add_system(parser)


def _add_system(parser: ArgumentParser) -> None:
    system = parser.add_argument_group("a system that runs already (without --gateway one is started here)")
    system.add_argument(
        "--gateway", type=_url("ws", "wss"), action="append", default=[], metavar="URL",
        help="WebSocket address of the gateway; a second one if another gateway takes over",
    )  # fmt: skip
    system.add_argument(
        "--direct", type=_url("ws", "wss"), action="append", default=[], metavar="URL",
        help="WebSocket address of a Studio behind it; may be given several times",
    )  # fmt: skip
    system.add_argument(
        "--auth-url", type=_url("http", "https"), metavar="URL",
        help="a fake Auth that the gateway asks, which mints the tokens (POST /_control/tokens)",
    )  # fmt: skip
    system.add_argument(
        "--token-file", metavar="FILE", help="tokens instead, one a line, each of another user"
    )
    system.add_argument(
        "--gateway-pid", type=whole(1, 1 << 22), action="append", default=[], metavar="PID",
        help="the gateway's process, for CPU and memory, and for scenarios that end it",
    )  # fmt: skip
    system.add_argument(
        "--studio-pid", type=whole(1, 1 << 22), action="append", default=[], metavar="PID",
        help="a Studio's process, for scenarios that kill it",
    )  # fmt: skip


def add_every(add: AddArgument) -> None:
    """Add the option for the users' pace."""
    add(
        "--every", type=seconds, default=1.0, metavar="SECONDS",
        help="pause between a user's messages (default: 1)",
    )  # fmt: skip


def _directory(text: str) -> str:
    if not text.strip():
        raise ArgumentTypeError("nothing given, a folder's name needed")
    return text


def _url(*schemes: str) -> Callable[[str], str]:
    """Return a reader of addresses of these schemes, without a query, which may hold a token."""

    def read(text: str) -> str:
        url = urlsplit(text)
        if url.scheme not in schemes or not url.hostname or url.query or url.username or url.fragment:
            allowed = " or ".join(f"{scheme}://HOST:PORT/…" for scheme in schemes)
            raise ArgumentTypeError(f"{allowed} needed, without a user, a query or a fragment")
        return text

    return read


def foreign_system(options: Namespace) -> System:
    """Return the system that the options name."""
    return System(
        gateways=tuple(options.gateway),
        gateway_pids=tuple(options.gateway_pid),
        studios=tuple(options.direct),
        studio_pids=tuple(options.studio_pid),
        auth_url=options.auth_url or "",
    )


def seconds_of(scenario: Scenario, options: Namespace, *, spent: float = 0.0) -> float:
    """Return how long a scenario goes on after the ramp: --seconds, what -t leaves, or the scenario's own.

    Args:
        scenario: the scenario.
        options: its options.
        spent: seconds of -t that have passed already.

    Raises:
        UsageError: -t leaves nothing.
    """
    if getattr(options, "seconds", None):
        return float(options.seconds)
    if not options.run_time or not scenario.timed:
        return scenario.seconds
    ramp = options.num_users / options.spawn_rate
    left: float = options.run_time - spent - ramp - SETTLE_SECONDS
    if left <= 0:
        raise UsageError(
            f"-t {options.run_time}s leaves nothing to measure: the ramp takes {ramp:g} s, and settling {SETTLE_SECONDS:g} s"
        )
    return left


def check_options(scenario: Scenario, options: Namespace) -> None:
    """Look at what can be known before a run.

    Raises:
        UsageError: the options do not go together, or a process does not exist.
    """
    if options.worker or options.master or options.processes:
        _check_distributed(scenario, options)
    if options.worker:
        return  # it gets its options from the master
    if not 1 <= options.num_users <= MOST_CONNECTIONS:
        raise UsageError(
            f"{options.num_users} users given, a whole number from 1 to {MOST_CONNECTIONS} needed (-u)"
        )
    seconds_of(scenario, options)
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


def _check_distributed(scenario: Scenario, options: Namespace) -> None:
    if not scenario.distributed:
        raise UsageError(
            f"{scenario.name} cannot be distributed: it starts or ends processes on this machine; "
            "run it without --master, --worker and --processes"
        )
    if not options.worker and not options.gateway:
        raise UsageError(
            f"{scenario.name} can only be distributed against a system that runs already: give --gateway ws://…"
        )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
