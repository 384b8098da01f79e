"""Running ``memmie dev`` from the first line printed to the exit code."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from memmie_harness.dev.report import as_json, as_text, wants_colour
from memmie_harness.dev.stack import PortError, ProofError, running_stack
from memmie_harness.targets import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from memmie_harness.dev.ports import Ports

FAILED = 1
USAGE = 2
INTERRUPTED = 130
"""Exit codes: not proven; a port or a setting that cannot be; stopped before it was proven."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for.

    Attributes:
        ports: Where the services listen.
        gateway_settings: Settings of the gateway (spec §7) besides the stack's own.
        once: End after the proof.
        json: Write one JSON object and nothing else to standard output.
    """

    ports: Ports
    gateway_settings: Mapping[str, str]
    once: bool
    json: bool


def run(options: Options) -> int:
    """Run the stack until Ctrl-C, SIGTERM or, with ``once``, the proof; return the exit code."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(options))


def _settings(options: Options) -> dict[str, str]:
    # A proof is short: what goes well need not be told. Whoever works with the stack wants every connection.
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
                    _say("Ctrl-C stops it all.", notes)
                    await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        pass  # by a signal: everything is stopped by now
    except PortError as error:
        return _fail(error, USAGE)
    except TargetError as error:
        return _fail(error, error.exit_code or FAILED)
    except (ProofError, OSError) as error:
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
    """Turn the first SIGINT or SIGTERM into a cancellation; a second one ends the process at once."""
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
    """The loop that the gateway runs on in production, where the platform has it."""
    try:
        import uvloop  # noqa: PLC0415 - comes with the gateway and is not the harness's to need
    except ImportError:
        return None
    return uvloop.new_event_loop
