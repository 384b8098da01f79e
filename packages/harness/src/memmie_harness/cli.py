"""The `memmie` command: its subcommands and their options."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final
from urllib.parse import urlsplit

from memmie_harness import kit_options
from memmie_harness.dev.ports import DEFAULT_BASE, DEFAULT_STUDIOS, MAX_STUDIOS, plan_ports

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
exit codes: 0    the check succeeded, and the stack is stopped, also because nobody reads the output any more
            1    the check failed; the reason is on standard error
            2    a port is in use, or an option or a setting is invalid
            130  a signal stopped the command before the end of the check

your own services:
  memmie dev --studio ws://localhost:9000/ws --cors-origin http://localhost:5173
                                        your WebSocket server behind the gateway, with a fake Auth,
                                        for your web page at http://localhost:5173
  memmie dev --token-for u1             print a token of user u1; it outlives a restart of the stack
  memmie dev --token-for u1 --token-seconds 20
                                        print a token that ends after 20 seconds, to try what happens then

examples:
  memmie dev                            the stack on ports {DEFAULT_BASE}, {DEFAULT_BASE + 1}, {DEFAULT_BASE + 10} and {DEFAULT_BASE + 11}
  memmie dev --port-base 0              the stack on any free ports, if another stack already runs
  memmie dev --once                     check whether the stack works on this machine (exit code 0)
  memmie dev --json --port-base 0       for scripts: print one JSON object and keep running
  memmie dev --env MAX_CONNECTIONS_PER_USER=1
"""
"""What `memmie dev --help` ends with."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `memmie` with the arguments `argv` (by default those of the process); return the exit code."""
    try:
        try:
            words = sys.argv[1:] if argv is None else argv
            arguments = _parser().parse_args(words, argparse.Namespace(words=words))
            run_command: int = arguments.run(arguments)
        finally:  # also after --help
            sys.stdout.flush()
    except KeyboardInterrupt:  # a second Ctrl-C, or one before the event loop runs
        return 130
    except BrokenPipeError:
        # The reader of the output (such as `head`) has closed the pipe; the flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return run_command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memmie", description="Run memmie-gateway on your own machine, for development."
    )
    own_version = f"{PACKAGES[0]} {_installed(PACKAGES[0])}"
    parser.add_argument("--version", action="version", version=own_version, help="print the version")
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
        metavar="N",
        help=f"number of fake Studios, from 1 to {MAX_STUDIOS} (default {DEFAULT_STUDIOS})",
    )
    dev.add_argument(
        "--studio",
        type=_websocket_address,
        action="append",
        default=[],
        metavar="URL",
        help="the WebSocket address of your own Studio, which replaces the fakes; repeat this option for several. "
        "HEALTH_CHECK is off then, unless --env sets it",
    )
    dev.add_argument(
        "--auth",
        type=_http_address,
        metavar="URL",
        help="the address of your own Auth, which replaces the fake",
    )
    dev.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let web pages of this origin use the fakes' API and the gateway, and no other pages (ALLOWED_ORIGINS); "
        "* for all pages. Repeat this option for several origins",
    )
    dev.add_argument(
        "--token-for",
        metavar="USER",
        help="only print a token of this user, which is valid for a day with every stack of this command "
        "(see --token-seconds); the stack need not run",
    )
    dev.add_argument(
        "--token-seconds",
        type=_seconds,
        metavar="N",
        help="how long the token of --token-for is valid, in seconds (default: a day)",
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

    kit_options.add_conformance(commands)

    show = commands.add_parser("version", help="print the versions of the installed packages")
    show.set_defaults(run=_version)
    return parser


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    # In capital letters, or the stack's own settings would win over a name in other letters.
    if name.upper() in STACK_SETTINGS:
        raise argparse.ArgumentTypeError(
            f"{name} is set by the stack itself; see --port-base, --studio and --auth"
        )
    return name.upper(), value


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds from 1 to 999999999")
    return int(text)


def _websocket_address(text: str) -> str:
    return _address(text, ("ws", "wss"), "ws://localhost:9000/ws")


def _http_address(text: str) -> str:
    return _address(text, ("http", "https"), "http://localhost:9001")


def _address(text: str, schemes: tuple[str, ...], example: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.hostname or "," in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as {example}")
    return text


def _dev(arguments: argparse.Namespace) -> int:
    if arguments.studio and arguments.studios is not None:
        arguments.parser.error(
            "--studios is the number of fakes, which --studio replaces; use only one of them"
        )
    if arguments.auth and arguments.token_for is not None:
        arguments.parser.error("--token-for makes tokens of the fake Auth; with --auth, your Auth makes them")
    if arguments.token_seconds is not None and arguments.token_for is None:
        arguments.parser.error("--token-seconds is for the token of --token-for")
    try:
        ports = plan_ports(
            arguments.port_base, DEFAULT_STUDIOS if arguments.studios is None else arguments.studios
        )
    except ValueError as error:
        arguments.parser.error(str(error))
    # `memmie --help` should not load two servers.
    from memmie_fake_base.cors import check_origins  # noqa: PLC0415
    from memmie_harness.dev import command  # noqa: PLC0415
    from memmie_harness.dev.stack import Plan  # noqa: PLC0415

    if arguments.token_for is not None:
        return command.print_token(arguments.token_for, arguments.token_seconds)
    try:
        origins = check_origins(arguments.cors_origin)
    except ValueError as error:
        arguments.parser.error(f"--cors-origin: {str(error).removeprefix('cors_origins: ')}")
    plan = Plan(
        ports=ports,
        gateway_settings=dict(arguments.env),
        cors_origins=origins,
        own_auth=arguments.auth or "",
        own_studios=tuple(arguments.studio),
    )
    return command.run(command.Options(plan=plan, once=arguments.once, json=arguments.json))


def _version(_arguments: argparse.Namespace) -> int:
    sys.stdout.write(_versions() + "\n")
    return 0


def _versions() -> str:
    return "\n".join(f"{package} {_installed(package)}" for package in PACKAGES)


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
