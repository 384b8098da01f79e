"""Structured logs: one line per event, as JSON or as text for people."""

from __future__ import annotations

import functools
import json
import logging
import os
import time
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


_JSON: Final = json.JSONEncoder(default=repr)  # created once, because json.dumps creates one for every line


class _Lines:
    """The logger behind structlog; it needs no lock and no flush."""

    def __init__(self, stream: LogStream) -> None:
        self._write = stream.write

    def msg(self, line: str) -> None:
        self._write(f"{line}\n")

    debug = info = warning = error = msg


def _begin(logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
    """Put time, level and event first, so that people can read the lines as columns."""
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, level, event)
    return {"timestamp": _timestamp(time.time_ns()), "level": level, "event": event.pop("event"), **event}


def _timestamp(now: int) -> str:
    """Return the time in ISO 8601, in UTC; `now` is in nanoseconds since 1970."""
    seconds, nanoseconds = divmod(now, 1_000_000_000)
    return f"{_up_to_the_second(seconds)}.{nanoseconds // 1000:06d}Z"


@functools.lru_cache(maxsize=2)
def _up_to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))  # the same for all lines of a second


def _without_escapes(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape characters that a terminal would act on, such as those that move the cursor."""
    return {
        name: _printable(value, keep="\n" if name == "exception" else "") if isinstance(value, str) else value
        for name, value in event.items()
    }


def _printable(text: str, *, keep: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keep else ascii(character)[1:-1]
        for character in text
    )


def _without_blanks(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Leave out fields without a value. In JSON, every field is always present."""
    return {name: value for name, value in event.items() if value is not None}


def _as_json(logger: WrappedLogger, level: str, event: EventDict) -> str:
    return _JSON.encode(_begin(logger, level, event))


def make_logger(
    log_format: Literal["auto", "json", "console"], level: str, stream: LogStream, *, terminal: bool
) -> FilteringBoundLogger:
    """Make a separate logger without global configuration, so that two gateways can run in one process.

    Args:
        log_format: "json", "console", or "auto" for console on a terminal and JSON elsewhere.
        level: the lowest level that is written.
        stream: the output.
        terminal: whether the output is a terminal.
    """
    processors: list[Processor] = [_as_json]
    if log_format == "console" or (log_format == "auto" and terminal):
        colors = terminal and not os.environ.get("NO_COLOR")
        processors = [_begin, _without_blanks, _without_escapes, structlog.dev.ConsoleRenderer(colors=colors)]
    logger = structlog.wrap_logger(
        _Lines(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
    )
    return cast(
        "FilteringBoundLogger", logger.bind()
    )  # bound once, because otherwise structlog binds it for every line
