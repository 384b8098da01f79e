"""The command line that both fakes have: `serve`, `healthcheck`, `version` and `--version`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version as version_of
from typing import Final, NoReturn

from memmie_fake_base.server import FakeServer

_GRACE_SECONDS: Final = 1.0
"""How long connections may take to close when `serve` is stopped."""

_ANSWER_SECONDS: Final = 3.0
"""How long a fake may take to answer a health check."""

_FAILED: Final = 1
"""Exit code of a failed health check, and if nobody reads the output."""

_BAD_ARGUMENTS: Final = 2
"""Exit code for bad arguments, or for an address that cannot be bound."""


class _Parser(argparse.ArgumentParser):
    """An argument parser that reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit with code 2."""
        self.exit(_BAD_ARGUMENTS, f"{self.prog}: {message} (see {self.prog} --help)\n")


def make_parser(
    program: str, description: str, default_port: int
) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return the parser of the whole command line and that of `serve`, to which a fake adds its options."""
    parser = _Parser(prog=program, description=description)
    # Each program has the name of its distribution.
    parser.add_argument("--version", action="version", version=_version(program), help="print the version")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="listen until Ctrl-C or SIGTERM",
        description="Listen until Ctrl-C or SIGTERM. When the fake listens, it prints one JSON line: "
        '{"event": "listening", "url": …, "port": …}. '
        "Exit codes: 0 stopped by Ctrl-C or SIGTERM; 2 an argument is invalid, or the address cannot be bound.",
        epilog="POST /_control/faults sets a fault, GET /_control/log returns what the fake received, and "
        "POST /_control/reset clears the faults, the log and the stored data. This program is not for production.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    serve.add_argument(
        "--port",
        type=int,
        default=default_port,
        help="the port to listen on; 0 picks a free port (default: %(default)s)",
    )
    serve.add_argument(
        "--log-entries",
        type=int,
        default=10_000,
        help="maximum number of log entries that the fake keeps (default: %(default)s)",
    )
    serve.add_argument(
        "--cors-origin",
        dest="cors_origins",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let web pages of this origin, such as http://localhost:5173, use the fake's API; * for all pages. "
        "Repeat this option for several origins. Control routes are never for pages",
    )
    healthcheck = commands.add_parser(
        "healthcheck",
        help="check whether a running fake answers, for container health checks",
        description="Send a request to the control API of a running fake. "
        "Exit codes: 0 the control API answers; 1 it does not answer. Faults do not change the result.",
    )
    healthcheck.add_argument(
        "--host", default="127.0.0.1", help="the address of the fake (default: %(default)s)"
    )
    healthcheck.add_argument(
        "--port", type=int, default=default_port, help="the port of the fake (default: %(default)s)"
    )
    commands.add_parser("version", help="print the version")
    return parser, serve


def run(
    parser: argparse.ArgumentParser,
    make: Callable[[argparse.Namespace], FakeServer],
    arguments: Sequence[str] | None,
) -> int:
    """Run the command that the arguments name.

    Args:
        parser: the first of the two that `make_parser` returned.
        make: makes the fake from the parsed options; if it raises ValueError, an argument is bad.
        arguments: the command line; None takes `sys.argv`.

    Returns:
        the exit code: 0, 1 for an unhealthy fake, or 2 for bad arguments and an address that cannot be bound.
    """
    try:
        try:
            return _run(parser, make, arguments)
        finally:  # also after --help
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the output (such as `head`) has closed the pipe; the flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED


def _run(
    parser: argparse.ArgumentParser,
    make: Callable[[argparse.Namespace], FakeServer],
    arguments: Sequence[str] | None,
) -> int:
    options = parser.parse_args(arguments)
    if options.command == "version":
        _say(_version(parser.prog))
        return 0
    if options.command == "healthcheck":
        problem = _problem_of(options.host, options.port)
        if problem:
            sys.stderr.write(f"{parser.prog}: {problem}\n")
        return _FAILED if problem else 0
    try:
        fake = make(options)
    except (ValueError, OSError) as error:
        parser.exit(_BAD_ARGUMENTS, f"{parser.prog}: {error}\n")
    try:
        asyncio.run(_serve(fake))
    except OSError as error:
        # asyncio's own text would repeat the address.
        number = 0 if isinstance(error, socket.gaierror) else error.errno
        words = os.strerror(number) if number else error.strerror or error
        parser.exit(_BAD_ARGUMENTS, f"{parser.prog}: cannot listen on {fake.host}:{fake.port}: {words}\n")
    return 0


def _problem_of(host: str, port: int) -> str:
    """Return what is wrong with the fake at this address, empty if nothing is."""
    connection = HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/_control/faults")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        words = (isinstance(error, OSError) and error.strerror) or error
        return f"no answer from {host}:{port}: {words}"
    finally:
        connection.close()
    return (
        ""
        if status == 200
        else f"{host}:{port} answered {status} instead of 200. Is the program at this address a fake?"
    )


async def _serve(fake: FakeServer) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no signal handlers on the loop; Ctrl-C raises KeyboardInterrupt there.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stopping.set)
    await fake.start()
    _say(json.dumps({"event": "listening", "url": fake.url, "port": fake.port}))
    await stopping.wait()
    await fake.stop(_GRACE_SECONDS)


def _version(program: str) -> str:
    return f"{program} {version_of(program)}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
