"""Put a gateway under load.

A scenario starts many WebSocket users. Most scenarios then cause a disturbance, such as the end of a Studio. At the
end, the scenario checks its results against the thresholds in loadtests/thresholds.toml.

Without --gateway, the scenario starts everything it needs on this machine: a fake Auth, fake Studios and
memmie-gateway. With --gateway, it uses a gateway that runs already; this may be any gateway, with any Studio.

`load.py SCENARIO` does the same as `locust -f loadtests/SCENARIO.py --headless`. It prints less, and it always leaves a
folder of results.

Scenarios:
{scenarios}

Examples:
  load.py steady                                 1000 connections for a minute, everything started here
  load.py steady --connections 200 --seconds 15  a first look
  load.py steady --gateway ws://gw:8000/ws --direct ws://studio:8010/ws --auth-url http://auth:8001
                                                 a system that runs elsewhere, with a fake Auth
  load.py SCENARIO --help                        what a scenario does, and its options
  locust -f loadtests/SCENARIO.py                the same with Locust's web page; `locust --help` has its options

Exit codes:
  0    every threshold held
  1    a threshold was broken, or the scenario could not go on
  2    wrong usage, or no user could connect
  3    not judged, because this machine was too busy
  130  interrupted; all processes that the run started have ended, and no results were written
"""

import argparse
import ast
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# `loadtests` is a folder of scripts, not a package: import from the repository's root, whoever runs this from where.
sys.path[0] = str(HERE.parent)

from loadtests.interrupted import ended_when_interrupted  # noqa: E402 - the line above finds it
from loadtests.libraries import demand, show_version  # noqa: E402 - see above


def main() -> None:
    """Run the command: have Locust run the scenario's locustfile."""
    from loadtests.runs.thresholds import SCENARIOS  # noqa: PLC0415 - needs what `demand` looks for

    docs = {name: ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())) or "" for name in SCENARIOS}
    abouts = "\n".join(f"  {name:9} {doc.splitlines()[0]}" for name, doc in docs.items())
    parser = _parser(
        "SCENARIO",
        "a user has one connection; one in ten in steady, and the abusers in limits, have more",
        (__doc__ or "").format(scenarios=abouts),
    )
    parser.add_argument("scenario", choices=SCENARIOS, metavar="SCENARIO", help="see above")
    if not sys.argv[1:] or sys.argv[1] in {"-h", "--help"}:
        parser.print_help()
        sys.exit(0 if sys.argv[1:] else 2)
    options, others = parser.parse_known_args()
    if {"-h", "--help"} & set(others):
        _teach(options.scenario)
        return
    users = ["--users", options.connections] if options.connections else []
    quiet = ["--headless", "--skip-log-setup", "--only-summary"]
    sys.argv = ["load.py", "-f", str(HERE / f"{options.scenario}.py"), *quiet, *users, *others]

    import logging  # noqa: PLC0415 - only now

    from locust.main import main as run_locust  # noqa: PLC0415 - patches the standard library when it is imported

    from loadtests.scenarios.results import CONSOLE  # noqa: PLC0415 - after that

    CONSOLE.command, CONSOLE.json, CONSOLE.follows = "load.py", options.json, True
    logging.getLogger("locust").setLevel(logging.CRITICAL)  # what fails is counted, and told at the end
    run_locust()  # type: ignore[no-untyped-call]  # Locust's own


def _parser(scenario: str, users: str, words: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        usage=f"load.py {scenario} [options of load.py, the scenario and Locust]",
        description=words,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument(
        "--connections", metavar="N", help=f"number of users, the same as Locust's -u ({users})"
    )
    parser.add_argument("--json", action="store_true", help="print run.json instead of the table")
    return parser


def _teach(name: str) -> None:
    """Print what a scenario does, and its options."""
    import importlib  # noqa: PLC0415 - only now

    from loadtests.scenarios.options import add_options  # noqa: PLC0415 - needs Locust

    scenario = importlib.import_module(f"loadtests.{name}").SCENARIO
    parser = _parser(name, f"default: {scenario.connections}", scenario.teaches)
    add_options(scenario, parser)
    parser.epilog = "Locust's own options work too, such as --csv or --master: see `locust --help`."
    parser.print_help()


if __name__ == "__main__":
    with ended_when_interrupted("load.py"):
        show_version("load.py")
        demand("load.py", "locust", "plotly", "psutil", "websockets")
        main()
