"""The command line: `memmie-gateway serve | check | settings | healthcheck | version`.

Each command imports what it needs when it runs: a health check every few seconds must cost next to nothing.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from memmie_gateway.app.server import Gateway
    from memmie_gateway.app.settings import Settings

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

_DESCRIPTION = """\
An authenticated WebSocket gateway: a client connects with a token, Auth says whose it is,
a healthy Studio gets the connection, and messages pass both ways."""

_EPILOG = """\
Settings come from the environment. The ones to begin with:

  STUDIO_WS_URLS          ws://studio-1:8010/ws,ws://studio-2:8010/ws
  AUTH_URL                http://auth:8001
  PORT                    8000
  TRUSTED_PROXIES         10.0.0.0/8        whose X-Forwarded-For is believed
  ALLOWED_ORIGINS         https://app.example.com

`memmie-gateway settings` lists all of them with their defaults.
`memmie-gateway check` tries them before you deploy."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 well, 1 failed, 2 not usable as given."""
    _open_standard_files()
    parser = argparse.ArgumentParser(
        prog="memmie-gateway",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser(
        "serve",
        help="run the gateway until SIGTERM, SIGINT or SIGHUP, which drains it; a second signal ends it at once",
    )
    check = commands.add_parser("check", help="validate the settings, and try Auth and each Studio")
    check.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    settings = commands.add_parser("settings", help="list every setting with its default and meaning")
    settings.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    healthcheck = commands.add_parser(
        "healthcheck", help="ask a gateway on this machine for /ready; for container health checks"
    )
    healthcheck.add_argument(
        "--live",
        action="store_true",
        help="ask for /health instead: for what restarts an unhealthy gateway, which brings back no Studio",
    )
    commands.add_parser("version", help="print the version")
    options = parser.parse_args(arguments)
    commands_by_name: dict[str, Callable[[argparse.Namespace], int]] = {
        "serve": _serve,
        "check": _check,
        "settings": _settings,
        "healthcheck": _healthcheck,
        "version": _version,
    }
    exit_code = EXIT_FAILED
    try:
        exit_code = commands_by_name[options.command](options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read the output, say `head`, has seen enough; what is left of it must not fail at exit again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exit_code


def _open_standard_files() -> None:
    """See that files 0 to 2 are what they should be, if only nothing: a socket in their place would be written to."""
    while (file := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(file)
    # Python has none where it was started without; it is kept open, as it is the process's own.
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - a number, and kept
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - likewise


def _read_settings() -> Settings:
    """Read the settings from the environment; end the process with one line a bad variable."""
    from memmie_gateway.app.settings import Settings, SettingsError

    try:
        return Settings.from_env(os.environ)
    except SettingsError as error:
        for line in str(error).splitlines():
            _complain(line)
        raise SystemExit(EXIT_USAGE) from None


def _tell_misspelt() -> None:
    from memmie_gateway.app.settings import misspelt

    for name, meant in misspelt(os.environ).items():
        _complain(f"note: {name} sets nothing: is {meant} meant?")


def _complain(line: str) -> None:
    print(f"memmie-gateway: {line}", file=sys.stderr)


def _version(_: argparse.Namespace) -> int:
    from importlib.metadata import version

    print(version("memmie-gateway"))
    return 0


def _serve(_: argparse.Namespace) -> int:
    # From the first moment: a container's first process is sent no signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from memmie_gateway.app.server import Gateway

    settings = _read_settings()
    _tell_misspelt()
    _raise_file_limit()
    exit_code = asyncio.Runner(loop_factory=_loop_factory()).run(_run(Gateway(settings)))
    # Everything is closed. What the interpreter would wait for yet is a name server that does not answer, if anything.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(exit_code)


def _raise_file_limit() -> None:
    """Take all the open files that the system grants: a connection needs two, and many a default is 1024."""
    try:
        import resource  # not on every platform
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a system that grants less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(gateway: Gateway) -> int:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    insisted = asyncio.Event()

    def stop() -> None:
        (insisted if asked.is_set() else asked).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    # Ignored, as nohup has it, a closed terminal is no reason to end.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, stop)
    settings = gateway.settings
    try:
        await gateway.start()
    except (OSError, UnicodeError) as error:  # UnicodeError: it is no name that could be looked up
        words = error.strerror if isinstance(error, OSError) else error
        _complain(f"cannot listen on {settings.host} port {settings.port}: {words} (HOST, PORT)")
        return EXIT_USAGE
    await asked.wait()
    stopping = asyncio.ensure_future(gateway.stop(settings.drain_seconds))
    insisting = asyncio.ensure_future(insisted.wait())
    await asyncio.wait({stopping, insisting}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        # Told twice: the kernel closes what is open.
        gateway.cut_short()
        os._exit(EXIT_FAILED)
    insisting.cancel()
    await stopping
    return 0


def _check(options: argparse.Namespace) -> int:
    from memmie_gateway.app.check import check, show

    settings = _read_settings()
    _tell_misspelt()
    results = asyncio.run(check(settings))
    print(
        json.dumps({"ok": all(r.ok for r in results), "checks": [r.as_dict() for r in results]})
        if options.json
        else show(results)
    )
    return 0 if all(result.ok for result in results) else EXIT_FAILED


def _settings(options: argparse.Namespace) -> int:
    from memmie_gateway.app.reference import as_table, rows

    print(json.dumps([row.as_dict() for row in rows()], indent=2) if options.json else as_table(rows()))
    return 0


def _healthcheck(options: argparse.Namespace) -> int:
    from memmie_gateway.app.healthcheck import problem_of

    problem = problem_of(os.environ, "/health" if options.live else "/ready")
    if problem:
        _complain(problem)
    return EXIT_FAILED if problem else 0
