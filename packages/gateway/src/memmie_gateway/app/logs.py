"""Structured logs: one line per ended connection and per refusal, as JSON or for a person."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Final, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class _Unfailing:
    """A stream whose failures disturb nobody: a full disk or a closed pipe costs log lines, not clients."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def _event_first(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Begin a line with when, how bad and what, so that a person can read down the log."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event")}
    return {**first, **event}


def _without_blanks(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Leave out what there is nothing to say about; in JSON a field is always there."""
    return {name: value for name, value in event.items() if value is not None}


def make_logger(
    log_format: Literal["auto", "json", "console"], level: str, stream: TextIO | None = None
) -> FilteringBoundLogger:
    """Make a logger of its own: nothing global is configured, so that two gateways may live in one process.

    Args:
        log_format: "json", "console", or "auto" for console on a terminal and JSON elsewhere.
        level: the least level that is written.
        stream: where to; standard output by default.
    """
    stream = stream or sys.stdout
    terminal = stream.isatty()
    console = log_format == "console" or (log_format == "auto" and terminal)
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if console:
        colors = terminal and not os.environ.get("NO_COLOR")
        processors += [_without_blanks, structlog.dev.ConsoleRenderer(colors=colors)]
    else:
        processors += [_event_first, structlog.processors.JSONRenderer()]
    return cast(
        "FilteringBoundLogger",
        structlog.wrap_logger(
            structlog.PrintLogger(cast("TextIO", _Unfailing(stream))),
            processors=processors,
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        ),
    )
