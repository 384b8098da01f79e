"""Running `memmie dev`: its output, its signals and its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from memmie_harness.dev.ports import Ports
from memmie_harness.dev.report import as_json, as_text, wants_colour
from memmie_harness.dev.stack import CheckError, PortError, running_stack
from memmie_harness.targets import TargetError

FAILED: Final = 1
"""Exit code if the check failed."""

USAGE: Final = 2
"""Exit code for a port in use, or an invalid setting."""

INTERRUPTED: Final = 130
"""Exit code after a signal before the check was over."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line.

    Attributes:
        ports: where the services listen.
        gateway_settings: settings of the gateway (spec §7) in addition to the stack's own.
        once: end after the check.
        json: write one JSON object, and nothing else, to standard output.
    """

    ports: Ports
    gateway_settings: Mapping[str, str]
    once: bool
    json: bool


def run(options: Options) -> int:
    """Run the stack until Ctrl-C or SIGTERM, or with `once` until the check is over; return the exit code."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(options))


def _settings(options: Options) -> dict[str, str]:
    # With `once` only problems matter. Developers who work with the stack want to see every connection.
    level = "warning" if options.once else "info"
    return {"LOG_FORMAT": "console", "LOG_LEVEL": level, **options.gateway_settings}


async def _run(options: Options) -> int:
    notes = sys.stderr if options.json else sys.stdout
    exit_code = INTERRUPTED
    try:
        with _signals_cancel_this_task():
            async with running_stack(options.ports, _settings(options), _log) as running:
                exit_code = 0
                if options.json:
                    _say(as_json(running), sys.stdout)
                else:
                    _say(as_text(running, colour=wants_colour(sys.stdout)), sys.stdout)
                if not options.once:
                    _say("Press Ctrl-C to stop the stack.", notes)
                    await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        pass  # by a signal; everything is stopped now
    except PortError as error:
        return _fail(error, USAGE)
    except TargetError as error:
        return _fail(error, error.exit_code or FAILED)
    except (CheckError, OSError) as error:
        return _fail(error, FAILED)
    _say("stopped", notes)
    return exit_code


def _fail(error: Exception, exit_code: int) -> int:
    _say(f"memmie dev: {error}", sys.stderr)
    return exit_code


def _log(line: str) -> None:
    _say(line, sys.stderr)


def _say(text: str, stream: TextIO) -> None:
    print(text, file=stream, flush=True)


@contextlib.contextmanager
def _signals_cancel_this_task() -> Iterator[None]:
    """Cancel the current task at the first SIGINT or SIGTERM; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task

    def release() -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(signum)

    def stop() -> None:
        release()
        task.cancel()

    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop)
    try:
        yield
    finally:
        release()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop, which the gateway runs on in production, or None where it is not installed."""
    try:
        import uvloop  # noqa: PLC0415 - the gateway's dependency, not the harness's
    except ImportError:
        return None
    return uvloop.new_event_loop
