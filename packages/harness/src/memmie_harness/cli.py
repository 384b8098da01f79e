"""The ``memmie`` command: its subcommands and their options."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from memmie_harness.dev.ports import DEFAULT_BASE, MAX_STUDIOS, plan_ports

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGES = ("memmie-harness", "memmie-gateway", "memmie-fake-auth", "memmie-fake-studio")

STACK_SETTINGS = ("HOST", "PORT", "AUTH_URL", "STUDIO_WS_URLS")
"""Settings that make the stack one; ``--env`` cannot change them."""

DEV_DESCRIPTION = """\
Run the whole stack in one process on 127.0.0.1: a fake Auth, fake Studios and the installed gateway.
It waits until the gateway is ready, proves itself by one heartbeat that goes through it and comes back as
ack, prints every address, a token and lines to paste, and runs until Ctrl-C.
"""

DEV_EPILOG = f"""\
ports:      gateway at the base, Auth at base + 1, Studios from base + 10
exit codes: 0 proven and stopped, 1 not proven (the reason is on standard error), 2 a port in use or an option
            or setting that cannot be, 130 interrupted before the proof

examples:
  memmie dev                            the stack on ports {DEFAULT_BASE}, {DEFAULT_BASE + 1}, {DEFAULT_BASE + 10} and {DEFAULT_BASE + 11}
  memmie dev --port-base 0              on any free ports, beside another stack
  memmie dev --once                     does it work on this machine? The exit code says so
  memmie dev --json --port-base 0       for scripts: one JSON object, then it runs
  memmie dev --env MAX_CONNECTIONS_PER_USER=1
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``memmie`` with `argv` (default: the process's own) and return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        run_command: int = arguments.run(arguments)
    except KeyboardInterrupt:  # a second Ctrl-C, or one before the loop runs
        return 130
    return run_command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="memmie", description="memmie-gateway on a laptop.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    dev = commands.add_parser(
        "dev",
        help="run Auth, Studios and the gateway, ready to be used",
        description=DEV_DESCRIPTION,
        epilog=DEV_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    dev.add_argument(
        "--port-base",
        type=int,
        default=DEFAULT_BASE,
        metavar="PORT",
        help=f"the gateway's port; the others follow from it (default {DEFAULT_BASE}, 0 = any free ports)",
    )
    dev.add_argument(
        "--studios",
        type=int,
        default=2,
        metavar="N",
        help=f"how many Studios, 1 to {MAX_STUDIOS} (default 2)",
    )
    dev.add_argument(
        "--env",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one more setting of the gateway, as it would stand in its environment; may be repeated",
    )
    dev.add_argument("--once", action="store_true", help="stop after the proof")
    dev.add_argument(
        "--json", action="store_true", help="write one JSON object to standard output, nothing else"
    )
    dev.set_defaults(run=_dev, parser=dev)

    show = commands.add_parser("version", help="print the versions of what is installed here")
    show.set_defaults(run=_version)
    return parser


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    if name.upper() in STACK_SETTINGS:
        raise argparse.ArgumentTypeError(f"{name} is the stack's own; see --port-base and --studios")
    return name, value


def _dev(arguments: argparse.Namespace) -> int:
    try:
        ports = plan_ports(arguments.port_base, arguments.studios)
    except ValueError as error:
        arguments.parser.error(str(error))
    from memmie_harness.dev import command  # noqa: PLC0415 - `memmie --help` need not load two servers

    options = command.Options(
        ports=ports, gateway_settings=dict(arguments.env), once=arguments.once, json=arguments.json
    )
    return command.run(options)


def _version(_arguments: argparse.Namespace) -> int:
    for package in PACKAGES:
        try:
            installed = version(package)
        except PackageNotFoundError:
            installed = "not installed"
        sys.stdout.write(f"{package} {installed}\n")
    return 0
