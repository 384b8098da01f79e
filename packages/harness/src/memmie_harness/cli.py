"""The `memmie` command: its subcommands and their options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from memmie_harness.dev.ports import DEFAULT_BASE, MAX_STUDIOS, plan_ports

PACKAGES: Final = ("memmie-harness", "memmie-gateway", "memmie-fake-auth", "memmie-fake-studio")
"""The distributions that `memmie version` reports on."""

STACK_SETTINGS: Final = ("HOST", "PORT", "AUTH_URL", "STUDIO_WS_URLS")
"""Settings of the gateway that connect the stack; `--env` cannot change them."""

DEV_DESCRIPTION: Final = """\
Run the whole stack in one process on 127.0.0.1: a fake Auth, fake Studios and the installed gateway.
First it waits until the gateway is ready. Then it sends one heartbeat through the gateway and checks the ack.
After this check it prints every address, a token and commands to paste, and runs until Ctrl-C.
"""
"""What `memmie dev --help` begins with."""

DEV_EPILOG: Final = f"""\
ports:      the gateway at PORT (--port-base), Auth at PORT + 1, the first Studio at PORT + 10
exit codes: 0    the check succeeded, and the stack is stopped
            1    the check failed; the reason is on standard error
            2    a port is in use, or an option or a setting is invalid
            130  a signal stopped the command before the end of the check

examples:
  memmie dev                            the stack on ports {DEFAULT_BASE}, {DEFAULT_BASE + 1}, {DEFAULT_BASE + 10} and {DEFAULT_BASE + 11}
  memmie dev --port-base 0              the stack on any free ports, if another stack already runs
  memmie dev --once                     check whether the stack works on this machine (exit code 0)
  memmie dev --json --port-base 0       for scripts: print one JSON object and keep running
  memmie dev --env MAX_CONNECTIONS_PER_USER=1
"""
"""What `memmie dev --help` ends with."""

CONFORMANCE_DESCRIPTION: Final = """\
Start a gateway with a fake Auth and scripted Studios around it, and test it byte by byte.
What the gateway offers, and how it is started, is in its profile.
A test that needs something else is reported as not offered.
"""
"""What `memmie conformance --help` begins with."""

CONFORMANCE_EPILOG: Final = """\
exit codes: 0    no test failed
            1    a test failed or could not be run
            2    the profile is invalid, or no test has the text of -k
            130  a signal stopped the run; everything that was started is stopped

examples:
  memmie conformance --profile memmie
  memmie conformance --profile ./my-gateway.toml --json report.json --junit report.xml
  memmie conformance --profile memmie -k closes/ -k handshake/
"""
"""What `memmie conformance --help` ends with."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `memmie` with the arguments `argv` (by default those of the process); return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        run_command: int = arguments.run(arguments)
    except KeyboardInterrupt:  # a second Ctrl-C, or one before the event loop runs
        return 130
    return run_command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memmie", description="Run memmie-gateway on your own machine, for development."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    dev = commands.add_parser(
        "dev",
        help="run the whole stack: a fake Auth, fake Studios and the gateway",
        description=DEV_DESCRIPTION,
        epilog=DEV_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    dev.add_argument(
        "--port-base",
        type=int,
        default=DEFAULT_BASE,
        metavar="PORT",
        help=f"the port of the gateway; the other ports follow from it (default {DEFAULT_BASE}, 0 = any free ports)",
    )
    dev.add_argument(
        "--studios",
        type=int,
        default=2,
        metavar="N",
        help=f"number of Studios, from 1 to {MAX_STUDIOS} (default 2)",
    )
    dev.add_argument(
        "--env",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the gateway; repeat this option for several settings",
    )
    dev.add_argument("--once", action="store_true", help="stop the stack after the check")
    dev.add_argument(
        "--json", action="store_true", help="write only one JSON object to standard output, and no text"
    )
    dev.set_defaults(run=_dev, parser=dev)

    _add_conformance(commands)

    show = commands.add_parser("version", help="print the versions of the installed packages")
    show.set_defaults(run=_version)
    return parser


def _add_conformance(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    kit = commands.add_parser(
        "conformance",
        help="test what stands between WebSocket clients and servers: any gateway or proxy",
        description=CONFORMANCE_DESCRIPTION,
        epilog=CONFORMANCE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kit.add_argument(
        "--profile",
        metavar="NAME|FILE",
        help="the gateway: the name of a profile of the kit, or the path of a TOML file; it runs the program that it names",
    )
    kit.add_argument(
        "-k",
        dest="parts",
        action="append",
        default=[],
        metavar="TEXT",
        help="run only tests with an id that contains this text; repeat this option for more",
    )
    kit.add_argument("--json", metavar="FILE", help="write the report as JSON; - is standard output")
    kit.add_argument("--junit", metavar="FILE", help="write the report as JUnit XML")
    kit.add_argument(
        "--patience",
        type=float,
        metavar="SECONDS",
        help="wait so long for what should come at once, instead of what the profile says; for busy machines",
    )
    kit.add_argument("--list", action="store_true", help="list the tests, and run none")
    kit.add_argument("--profiles", action="store_true", help="list the profiles of the kit")
    kit.set_defaults(run=_conformance, parser=kit)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    if name.upper() in STACK_SETTINGS:
        raise argparse.ArgumentTypeError(f"{name} is set by the stack itself; see --port-base and --studios")
    return name, value


def _dev(arguments: argparse.Namespace) -> int:
    try:
        ports = plan_ports(arguments.port_base, arguments.studios)
    except ValueError as error:
        arguments.parser.error(str(error))
    from memmie_harness.dev import command  # noqa: PLC0415 - `memmie --help` should not load two servers

    options = command.Options(
        ports=ports, gateway_settings=dict(arguments.env), once=arguments.once, json=arguments.json
    )
    return command.run(options)


def _conformance(arguments: argparse.Namespace) -> int:
    from memmie_harness.conformance import command  # noqa: PLC0415 - `memmie dev` should not load the kit

    if arguments.profiles:
        return command.list_profiles()
    if arguments.list:
        return command.list_tests(arguments.parts)
    if arguments.profile is None:
        arguments.parser.error("--profile is missing; `memmie conformance --profiles` lists those of the kit")
    if arguments.patience is not None and not arguments.patience > 0:
        arguments.parser.error("--patience must be more than 0 seconds")
    return command.run(
        command.Options(
            arguments.profile,
            arguments.parts,
            json=arguments.json,
            junit=arguments.junit,
            patience=arguments.patience,
        )
    )


def _version(_arguments: argparse.Namespace) -> int:
    for package in PACKAGES:
        try:
            installed = version(package)
        except PackageNotFoundError:
            installed = "not installed"
        sys.stdout.write(f"{package} {installed}\n")
    return 0
