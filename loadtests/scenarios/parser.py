"""The load scenarios' options, and the help that explains them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from loadtests.common.supervisor import ROOT
from loadtests.scenarios.catalogue import SCENARIOS
from loadtests.scenarios.options import directory, seconds, url, whole
from loadtests.scenarios.scenario import Scenario
from loadtests.users.swarm import RAMP_PER_SECOND, SETTLE_SECONDS

THRESHOLDS: Final = ROOT / "loadtests" / "thresholds.toml"

MOST_CONNECTIONS: Final = 25_000
"""One address has not many more ports towards another."""

_DESCRIPTION = """\
What does the gateway do under load? Each scenario is a crowd of WebSocket users, something that happens to them,
and thresholds that must hold (loadtests/thresholds.toml). Without --gateway it starts all it needs on this
machine: a fake Auth, fake Studios and memmie-gateway; with it, any gateway with any Studio can be loaded."""

_EPILOG = """\
scenarios:
{scenarios}

examples:
  load.py steady                                 1000 connections for a minute, everything started here
  load.py steady --connections 200 --seconds 15  a first look
  load.py steady --gateway ws://gw:8000/ws --direct ws://studio:8010/ws --auth-url http://auth:8001
                                                 a system that runs elsewhere, whose Auth is the fake one
  load.py SCENARIO --help                        what a scenario does, and its options

Exit code 0: every threshold held. 1: one was broken, or the scenario could not go on. 2: not usable as given,
or nobody could connect. 130: interrupted; everything it started has ended, and no results were written."""

_PARTS: Final = {2: "half", 3: "third"}

_SYSTEM = """\
a system that runs already (without --gateway one is started here)"""


def make_parser() -> argparse.ArgumentParser:
    """Return what reads the command line: a subcommand for each scenario."""
    width = max(map(len, SCENARIOS))
    parser = argparse.ArgumentParser(
        prog="load.py",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(
            scenarios="\n".join(f"  {name:{width}}  {each.about}" for name, each in SCENARIOS.items())
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="scenario", required=True, metavar="SCENARIO")
    for scenario in SCENARIOS.values():
        _add_scenario(
            commands.add_parser(
                scenario.name,
                description=f"{scenario.about}\n\n{scenario.teaches}",
                formatter_class=argparse.RawDescriptionHelpFormatter,
            ),
            scenario,
        )
    return parser


def _about_seconds(scenario: Scenario) -> str:
    part = f"the {_PARTS[scenario.part]} {scenario.measured} only" if scenario.part > 1 else "all of it"
    return (
        f"length of the run after the ramp ({RAMP_PER_SECOND} connections a second) and {SETTLE_SECONDS:g} s to settle; "
        f"latencies are of {part} (default: %(default)g)"
    )


def _add_scenario(parser: argparse.ArgumentParser, scenario: Scenario) -> None:
    parser.add_argument(
        "--connections", type=whole(1, MOST_CONNECTIONS), default=scenario.connections, metavar="N",
        help="connections through the gateway (default: %(default)s)",
    )  # fmt: skip
    if scenario.timed:
        parser.add_argument(
            "--seconds", type=seconds, default=scenario.seconds, metavar="SECONDS",
            help=_about_seconds(scenario),
        )  # fmt: skip
    scenario.add_options(parser)
    parser.add_argument(
        "--thresholds", type=Path, default=THRESHOLDS, metavar="FILE",
        help="what must hold (default: loadtests/thresholds.toml)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=directory, metavar="DIR",
        help=f"folder for run.json, the CSV files and the report (default: loadtests/results/{scenario.name}-TIME)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print run.json instead of the table")
    parser.add_argument(
        "--pin", action=argparse.BooleanOptionalAction, default=scenario.pinned,
        help="give a gateway that is started here a core for itself, and all else the others",
    )  # fmt: skip
    parser.add_argument(
        "--within", type=seconds, default=30.0, metavar="SECONDS",
        help="how long all may take to connect, or to come back (default: %(default)g)",
    )  # fmt: skip
    system = parser.add_argument_group(_SYSTEM)
    system.add_argument(
        "--gateway", type=url("ws", "wss"), action="append", default=[], metavar="URL",
        help="WebSocket address of the gateway; a second one where another takes over",
    )  # fmt: skip
    system.add_argument(
        "--direct", type=url("ws", "wss"), action="append", default=[], metavar="URL",
        help="WebSocket address of a Studio behind it; may be given several times",
    )  # fmt: skip
    system.add_argument(
        "--auth-url", type=url("http", "https"), metavar="URL",
        help="a fake Auth that it asks, which mints the tokens (POST /_control/tokens)",
    )  # fmt: skip
    system.add_argument(
        "--token-file", type=Path, metavar="FILE", help="tokens instead, one a line, each of another user"
    )
    system.add_argument(
        "--gateway-pid", type=whole(1, 1 << 22), action="append", default=[], metavar="PID",
        help="its process, for CPU and memory, and for scenarios that end it",
    )  # fmt: skip
    system.add_argument(
        "--studio-pid", type=whole(1, 1 << 22), action="append", default=[], metavar="PID",
        help="a Studio's process, for scenarios that kill it",
    )  # fmt: skip
