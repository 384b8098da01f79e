"""The command line: `memmie-gateway serve | check | settings | healthcheck | version`.

Each command imports what it needs only when it runs, because health checks run often and must be cheap.
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
A WebSocket gateway. A client connects with a token, and the gateway validates the token
with Auth. Then it connects to a healthy backend (Studio) and forwards messages both ways."""

_EPILOG = """\
Settings come from environment variables. Start with these:

  STUDIO_WS_URLS          ws://studio-1:8010/ws,ws://studio-2:8010/ws
  AUTH_URL                http://auth:8001
  PORT                    8000
  TRUSTED_PROXIES         10.0.0.0/8        accept X-Forwarded-For from these networks
  ALLOWED_ORIGINS         https://app.example.com

`memmie-gateway settings` lists all settings with their defaults.
`memmie-gateway check` tests your settings before you deploy."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 success, 1 failure, 2 invalid arguments or settings."""
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
        help="run the gateway",
        description="Run the gateway. SIGTERM, SIGINT or SIGHUP drains the gateway; a second signal ends it at once. "
        "Exit codes: 0 the drain is complete; 1 a second signal ended the gateway; "
        "2 a setting is invalid, or the address cannot be bound.",
    )
    check = commands.add_parser(
        "check",
        help="validate the settings, and test the connections to Auth and to each backend",
        description="Validate the settings, and test the connections to Auth and to each backend. "
        "This command opens no port. "
        "Exit codes: 0 everything works; 1 Auth or a backend does not work; 2 a setting is invalid.",
    )
    check.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    settings = commands.add_parser(
        "settings",
        help="list every setting with its default and meaning",
        description="List every setting with its default and meaning.",
    )
    settings.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    healthcheck = commands.add_parser(
        "healthcheck",
        help="check whether the gateway on this machine is ready, for container health checks",
        description="Send GET /ready to the gateway on this machine, at the address in HOST and PORT. "
        "Exit codes: 0 the gateway is ready; 1 it is not ready, or does not answer.",
    )
    healthcheck.add_argument(
        "--live",
        action="store_true",
        help="send GET /health instead; its answer does not depend on the backends. "
        "Use this option if your platform restarts the gateway after a failed check",
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
        # The reader of the output (such as `head`) has closed the pipe; the flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exit_code


def _open_standard_files() -> None:
    """Open files 0 to 2 on /dev/null if they are closed; otherwise a socket could get their number, and our output."""
    while (file := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(file)
    # Python sets a closed stream to None. The descriptor stays open because it belongs to the process.
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - must stay open
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - must stay open


def _read_settings() -> Settings:
    """Read the settings from the environment; if some are invalid, print one line for each and exit with 2."""
    from memmie_gateway.app.setting_errors import SettingsError
    from memmie_gateway.app.settings import Settings

    try:
        return Settings.from_env(os.environ)
    except SettingsError as error:
        for line in str(error).splitlines():
            _print_error(line)
        raise SystemExit(EXIT_USAGE) from None


def _report_misspelt() -> None:
    from memmie_gateway.app.settings import misspelt

    for name, meant in misspelt(os.environ).items():
        _print_error(f"note: {name} is not a setting. Did you mean {meant}?")


def _print_error(line: str) -> None:
    print(f"memmie-gateway: {line}", file=sys.stderr)


def _version(_: argparse.Namespace) -> int:
    from importlib.metadata import version

    print(version("memmie-gateway"))
    return 0


def _serve(_: argparse.Namespace) -> int:
    # First of all, because the kernel delivers a signal to the first process of a container only if it has a handler.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from memmie_gateway.app.server import Gateway

    settings = _read_settings()
    _report_misspelt()
    _raise_file_limit()
    exit_code = asyncio.Runner(loop_factory=_loop_factory()).run(_run(Gateway(settings)))
    # Everything is closed. A normal exit could still wait for a DNS look-up that is not answered.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(exit_code)


def _raise_file_limit() -> None:
    """Raise the limit of open files to its maximum, because a session needs two, and the default is often 1024."""
    try:
        import resource  # not on every platform
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # some systems grant less than they report
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(gateway: Gateway) -> int:
    from memmie_gateway.app.library_logs import captured

    with captured(gateway.log):
        return await _run_captured(gateway)


async def _run_captured(gateway: Gateway) -> int:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    insisted = asyncio.Event()

    def stop() -> None:
        (insisted if asked.is_set() else asked).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    # Under nohup SIGHUP is ignored, and stays ignored.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, stop)
    settings = gateway.settings
    try:
        await gateway.start()
    except (OSError, UnicodeError) as error:  # UnicodeError: HOST is not a valid host name
        from memmie_gateway.net.http1.system_errors import words_of

        words = words_of(error) if isinstance(error, OSError) else "this is not a valid host name"
        _print_error(
            f"cannot listen on {settings.host} port {settings.port}: {words}. "
            "The settings HOST and PORT choose the address."
        )
        return EXIT_USAGE
    await asked.wait()
    stopping = asyncio.ensure_future(gateway.stop(settings.drain_seconds))
    insisting = asyncio.ensure_future(insisted.wait())
    await asyncio.wait({stopping, insisting}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        # A second signal: exit now, and let the kernel close the connections.
        gateway.cut_short()
        os._exit(EXIT_FAILED)
    insisting.cancel()
    await stopping
    return 0


def _check(options: argparse.Namespace) -> int:
    from memmie_gateway.app.check import check, show

    settings = _read_settings()
    _report_misspelt()
    results = asyncio.run(check(settings))
    print(
        json.dumps({"ok": all(r.ok for r in results), "checks": [r.as_dict() for r in results]})
        if options.json
        else show(results)
    )
    return 0 if all(result.ok for result in results) else EXIT_FAILED


def _settings(options: argparse.Namespace) -> int:
    from memmie_gateway.app.reference import as_table, rows

    print(json.dumps([row.as_dict() for row in rows()], indent=2) if options.json else as_table())
    return 0


def _healthcheck(options: argparse.Namespace) -> int:
    from memmie_gateway.app.healthcheck import problem_of

    problem = problem_of(os.environ, "/health" if options.live else "/ready")
    if problem:
        _print_error(problem)
    return EXIT_FAILED if problem else 0
