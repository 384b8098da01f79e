"""The options of a scenario, added to Locust's own, and what is wrong with them before anything runs."""

from __future__ import annotations

import tomllib
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from loadtests.common.errors import UsageError
from loadtests.common.options import MOST_CONNECTIONS, seconds, whole
from loadtests.common.run import Setting
from loadtests.common.supervisor import ROOT
from loadtests.scenarios.director import SETTLE_SECONDS
from loadtests.scenarios.scenario import Scenario

RAMP_PER_SECOND: Final = 250
"""New users a second unless -r says otherwise."""

STOP_SECONDS: Final = 15
"""How long users may take to end what they are at and to close, unless --stop-timeout says otherwise."""

_PARTS: Final = {1: "all the time", 2: "only in the half {}", 3: "only in the third {}"}


def _url(scheme: str, text: str) -> str:
    """Read an address, with TLS or without, and without a query, which may hold a token."""
    url = urlsplit(text)
    more = url.query or url.username or url.fragment
    if url.scheme not in {scheme, f"{scheme}s"} or not url.hostname or more:
        raise ArgumentTypeError(f"{scheme}(s)://HOST:PORT/… needed, without a user, a query or a fragment")
    return text


_TYPES: Final[dict[str, Callable[[str], Any]]] = {
    "text": str, "seconds": seconds, "ws": partial(_url, "ws"), "http": partial(_url, "http")
}  # fmt: skip

_GROUPS: Final = tomllib.loads(Path(__file__).with_name("options.toml").read_text())
_DOES, _, _SYSTEM = _GROUPS


def add_options(scenario: Scenario, parser: ArgumentParser) -> None:
    """Add a scenario's options to a parser, and its values for Locust's own."""
    parser.set_defaults(num_users=scenario.connections, spawn_rate=RAMP_PER_SECOND, stop_timeout=STOP_SECONDS)
    latencies = _PARTS[scenario.part].format(scenario.measured)
    for title, options in _GROUPS.items():
        group = parser.add_argument_group(title.format(scenario=scenario))
        for name, details in options.items():
            if scenario.name not in details.get("scenarios", [scenario.name]):
                continue
            kind = details.get("type", "text")
            action = group.add_argument(
                name,
                action=details.get("action", "store"),
                metavar=details["metavar"],
                type=whole(*kind) if isinstance(kind, list) else _TYPES[kind],
                default=details.get("default", [] if "action" in details else None),
                help=details["help"].format(scenario=scenario, latencies=latencies),
            )
            if title == _DOES:
                setattr(action, "include_in_web_ui", True)  # noqa: B010 - Locust's own attribute of an action
    parser.set_defaults(thresholds=str(ROOT / "loadtests" / "thresholds.toml"))
    group.add_argument(
        "--pin", action=BooleanOptionalAction, default=scenario.pinned,
        help="reserve one core for the gateway that the run starts; everything else uses the other cores",
    )  # fmt: skip


def settings(options: Namespace, length: float) -> dict[str, Setting]:
    """Return the options that say what was done, the scenario's length among them."""
    names = [_dest(name) for name in _GROUPS[_DOES]]
    found = {name: getattr(options, name) for name in names if hasattr(options, name)}
    if "seconds" in found:
        found["seconds"] = length
    if not options.gateway:  # else nothing was started to be pinned
        found["pin"] = options.pin
    return {"connections": options.num_users, "users a second": options.spawn_rate, **found}


def seconds_of(scenario: Scenario, options: Namespace, *, spent: float = 0.0) -> float:
    """Return how long a scenario goes on after the ramp: --seconds, what -t leaves, or the scenario's own.

    `spent` are the seconds of -t that have passed already.
    """
    if getattr(options, "seconds", None):
        return float(options.seconds)
    if not options.run_time or not scenario.timed:
        return scenario.seconds
    ramp = options.num_users / options.spawn_rate
    left: float = options.run_time - spent - ramp - SETTLE_SECONDS
    if left <= 0:
        takes = f"the ramp takes {ramp:g} s, and settling {SETTLE_SECONDS:g} s"
        raise UsageError(f"-t {options.run_time}s leaves nothing to measure: {takes}")
    return left


def check_options(scenario: Scenario, options: Namespace) -> None:
    """Refuse options that do not go together, and processes that do not exist."""
    if options.worker or options.master or options.processes:
        if not scenario.distributed:
            raise UsageError(
                f"{scenario.name} cannot be distributed: it starts or ends processes on this machine; "
                "run it without --master, --worker and --processes"
            )
        if options.worker:
            return  # it gets its options from the master
        if not options.gateway:
            need = "a system that runs already: give --gateway ws://…"
            raise UsageError(f"{scenario.name} can only be distributed against {need}")
    if not 1 <= options.num_users <= MOST_CONNECTIONS:
        need = f"a whole number from 1 to {MOST_CONNECTIONS} needed (-u)"
        raise UsageError(f"{options.num_users} users given, {need}")
    seconds_of(scenario, options)
    if not options.gateway:
        for name in _GROUPS[_SYSTEM]:
            if getattr(options, _dest(name)):
                raise UsageError(f"{name} works only with --gateway, which is not given")
        return
    if options.auth_url and options.token_file:
        raise UsageError("--auth-url and --token-file are both given: tokens come from one of them only")
    if not options.auth_url and not options.token_file:
        need = "tokens: give --auth-url http://… (a fake Auth) or --token-file FILE"
        raise UsageError(f"{scenario.name} needs {need}")
    for name, (count, words) in scenario.needs.items():
        if len(getattr(options, name)) < count:
            raise UsageError(f"{scenario.name} needs {words}")
    for name in ("--gateway-pid", "--studio-pid"):
        for pid in getattr(options, _dest(name)):
            if not psutil.pid_exists(pid):
                raise UsageError(f"there is no process {pid} on this machine ({name})")


def _dest(name: str) -> str:
    return name.removeprefix("--").replace("-", "_")
