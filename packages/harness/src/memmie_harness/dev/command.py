"""Running `memmie dev`: its output, its signals and its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TextIO

from memmie_harness.dev.pages import refused_pages
from memmie_harness.dev.proof import CheckError
from memmie_harness.dev.report import as_json, as_text, wants_colour
from memmie_harness.dev.signing_key import TOKEN_SECONDS, KeyFileError, kept_key, key_file, mint
from memmie_harness.dev.stack import Plan, PortError, running_stack
from memmie_harness.dev.unknown import notes
from memmie_harness.targets import TargetError
from memmie_harness.targets.installed import setting_names

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
        plan: what the stack consists of; its signing key is added here.
        once: end after the check.
        json: write one JSON object, and nothing else, to standard output.
    """

    plan: Plan
    once: bool
    json: bool


def run(options: Options) -> int:
    """Run the stack until Ctrl-C or SIGTERM, or with `once` until the check is over; return the exit code."""
    logging.basicConfig(
        format="memmie dev: note: %(message)s"
    )  # the fakes warn of pages that a browser blocks
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(options))


def print_token(user_id: str, seconds: int | None) -> int:
    """Print a token of a user, which every stack of `memmie dev` with its own Auth accepts; return the exit code.

    Args:
        user_id: the user.
        seconds: how long the token is valid; `TOKEN_SECONDS` if this is None.
    """
    try:
        key = kept_key(key_file(os.environ))
        _say(mint(key, user_id, TOKEN_SECONDS if seconds is None else seconds), sys.stdout)
    except (KeyFileError, ValueError) as error:
        return _fail(error, USAGE)
    return 0


def _with_defaults(options: Options) -> Plan:
    """Return the plan with settings for the terminal, and with the signing key."""
    # With `once` only problems matter. Developers who work with the stack want to see every connection.
    level = "warning" if options.once else "info"
    settings = {"LOG_FORMAT": "console", "LOG_LEVEL": level, **options.plan.gateway_settings}
    key = ""
    if not options.once and not options.plan.own_auth:  # otherwise nobody keeps a token
        try:
            key = kept_key(key_file(os.environ))
        except KeyFileError as error:
            _note(f"tokens will be valid only until the stack stops: {error}")
    return replace(options.plan, gateway_settings=settings, signing_key=key)


async def _run(options: Options) -> int:
    for_people = sys.stderr if options.json else sys.stdout
    exit_code = INTERRUPTED
    try:
        for note in notes(options.plan.gateway_settings, setting_names()):
            _note(note)
        for note in refused_pages(options.plan.cors_origins, options.plan.gateway_settings):
            _note(note)
        with _signals_cancel_this_task() as stop, _reader_watched(sys.stdout, stop):
            async with running_stack(_with_defaults(options), _log, on_wait=_note) as running:
                exit_code = 0
                if options.json:
                    _say(as_json(running), sys.stdout)
                else:
                    _say(as_text(running, colour=wants_colour(sys.stdout)), sys.stdout)
                if not options.once:
                    _say("Press Ctrl-C to stop the stack.", for_people)
                    await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        pass  # by a signal, or because nobody reads; everything is stopped now
    except BrokenPipeError:
        _let_go(for_people)  # nobody reads; everything is stopped now
    except PortError as error:
        return _fail(error, USAGE)
    except TargetError as error:
        return _fail(error, error.exit_code or FAILED)
    except (CheckError, OSError) as error:
        return _fail(error, FAILED)
    try:
        _say("stopped", for_people)
    except BrokenPipeError:
        _let_go(for_people)
    return exit_code


def _fail(error: Exception, exit_code: int) -> int:
    _say(f"memmie dev: {error}", sys.stderr)
    return exit_code


def _note(text: str) -> None:
    _say(f"memmie dev: note: {text}", sys.stderr)


def _let_go(stream: TextIO) -> None:
    """Write nowhere from now on, so that the flush at exit does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _log(line: str) -> None:
    _say(line, sys.stderr)


def _say(text: str, stream: TextIO) -> None:
    print(text, file=stream, flush=True)


@contextlib.contextmanager
def _signals_cancel_this_task() -> Iterator[Callable[[], None]]:
    """Cancel the current task at the first SIGINT or SIGTERM; a second one ends the process at once.

    The value does the same as the first signal.
    """
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
        yield stop
    finally:
        release()


@contextlib.contextmanager
def _reader_watched(stream: TextIO, stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` when the reader of a pipe, such as `head -1`, is gone; a stack that nobody sees would run on."""
    try:
        descriptor = stream.fileno()
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except (OSError, ValueError):  # not a file, or closed
        is_pipe = False
    if not is_pipe:
        yield
        return
    loop = asyncio.get_running_loop()

    def stop_once() -> None:
        loop.remove_reader(descriptor)
        stop()

    # The kernel reports the end of the reader as if the pipe were readable.
    loop.add_reader(descriptor, stop_once)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop, which the gateway runs on in production, or None where it is not installed."""
    try:
        import uvloop  # noqa: PLC0415 - the gateway's dependency, not the harness's
    except ImportError:
        return None
    return uvloop.new_event_loop
