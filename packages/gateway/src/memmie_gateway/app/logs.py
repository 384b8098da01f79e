"""Structured logs: one line per ended connection and per refusal, as JSON or for a person."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from typing import Final, Literal, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from memmie_gateway.app.log_stream import LogStream

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


_JSON: Final = json.JSONEncoder(default=repr)  # made once: json.dumps makes one for every line


class _Lines:
    """What structlog hands its lines to: there is nothing to lock here, and nothing to flush."""

    def __init__(self, stream: LogStream) -> None:
        self._write = stream.write

    def msg(self, line: str) -> None:
        self._write(f"{line}\n")

    debug = info = warning = error = msg


def _begin(logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
    """Begin a line with when, how bad and what, so that a person can read down the log."""
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, level, event)
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    return {"timestamp": f"{now[:-6]}Z", "level": level, "event": event.pop("event"), **event}


def _without_blanks(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Leave out what there is nothing to say about; in JSON a field is always there."""
    return {name: value for name, value in event.items() if value is not None}


def _as_json(logger: WrappedLogger, level: str, event: EventDict) -> str:
    return _JSON.encode(_begin(logger, level, event))


def make_logger(
    log_format: Literal["auto", "json", "console"], level: str, stream: LogStream, *, terminal: bool
) -> FilteringBoundLogger:
    """Make a logger of its own: nothing global is configured, so that two gateways may live in one process.

    Args:
        log_format: "json", "console", or "auto" for console on a terminal and JSON elsewhere.
        level: the least level that is written.
        stream: where to.
        terminal: whether that is one.
    """
    processors: list[Processor] = [_as_json]
    if log_format == "console" or (log_format == "auto" and terminal):
        colors = terminal and not os.environ.get("NO_COLOR")
        processors = [_begin, _without_blanks, structlog.dev.ConsoleRenderer(colors=colors)]
    logger = structlog.wrap_logger(
        _Lines(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
    )
    return cast("FilteringBoundLogger", logger.bind())  # bound once: what is not would be, for every line
