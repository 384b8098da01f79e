"""Structured logs: one line per event, as JSON or as text for people."""

from __future__ import annotations

import functools
import json
import logging
import os
import time
from collections.abc import Callable
from typing import Final, Literal, Protocol, cast

import pydantic_core
import structlog
from structlog.typing import BindableLogger, EventDict, FilteringBoundLogger, Processor, WrappedLogger

from memmie_gateway.app.log_stream import LogStream

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


_DEL: Final = 0x7F

_ANY_TEXT: Final = json.JSONEncoder(default=repr, check_circular=False, separators=(",", ":"))


class Log(FilteringBoundLogger, Protocol):
    """A logger of structlog that can also write fields that are a dict already."""

    def record(self, event: str, fields: EventDict) -> None:
        """Write a line at the level `info`; a method of structlog would copy the fields three times."""


class _Lines:
    """The logger behind structlog; it needs no lock and no flush."""

    def __init__(self, stream: LogStream) -> None:
        self._write = stream.write
        self.add = stream.add

    def msg(self, line: str) -> None:
        self._write(f"{line}\n")

    debug = info = warning = error = msg


def _begin(logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
    """Put time, level and event first, so that people can read the lines as columns."""
    return _fields(logger, level, event.pop("event"), event)


def _fields(logger: WrappedLogger, level: str, event: object, fields: EventDict) -> EventDict:
    if "exc_info" in fields:
        fields = structlog.processors.format_exc_info(logger, level, fields)
    return {"timestamp": _timestamp(time.time_ns()), "level": level, "event": event, **fields}


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


def _json(fields: EventDict) -> bytes:
    """Render fields as a line of JSON in visible ASCII, because a terminal may act on other characters.

    The encoder of pydantic takes less than half the CPU of that in the standard library, but escapes fewer characters.
    """
    try:
        line = pydantic_core.to_json(fields, fallback=repr)
    except pydantic_core.PydanticSerializationError:  # a surrogate, which UTF-8 does not have
        line = b""
    usable = line and line.isascii() and _DEL not in line
    return (line if usable else _ANY_TEXT.encode(fields).encode("ascii")) + b"\n"


class _LinesForPeople:
    """Renders lines with a chain of processors."""

    info: Callable[..., None]

    def record(self, event: str, fields: EventDict) -> None:
        """See `Log`."""
        self.info(event, **fields)


class _JsonLines:
    """Renders lines without a chain of processors, because one line is written for each connection."""

    _logger: _Lines
    is_enabled_for: Callable[[int], bool]

    def record(self, event: str, fields: EventDict) -> None:
        """See `Log`."""
        if self.is_enabled_for(logging.INFO):
            self._write("info", event, fields)

    def _proxy_to_logger(self, method_name: str, event: str | None = None, **fields: object) -> None:
        self._write(method_name, event, fields)

    def _write(self, level: str, event: str | None, fields: EventDict) -> None:
        self._logger.add(_json(_fields(self._logger, level, event, fields)))


def make_logger(
    log_format: Literal["auto", "json", "console"], level: str, stream: LogStream, *, terminal: bool
) -> Log:
    """Make a separate logger without global configuration, so that two gateways can run in one process.

    Args:
        log_format: "json", "console", or "auto" for console on a terminal and JSON elsewhere.
        level: the lowest level that is written.
        stream: the output.
        terminal: whether the output is a terminal.
    """
    bound: type[BindableLogger] = structlog.make_filtering_bound_logger(LEVELS[level])
    processors: list[Processor] = []
    if log_format == "console" or (log_format == "auto" and terminal):
        colors = terminal and not os.environ.get("NO_COLOR")
        processors = [_begin, _without_blanks, _without_escapes, structlog.dev.ConsoleRenderer(colors=colors)]
        lines = type("ConsoleLogger", (_LinesForPeople, bound), {})
    else:
        lines = type("JsonLogger", (_JsonLines, bound), {})
    logger = structlog.wrap_logger(_Lines(stream), processors=processors, wrapper_class=lines)
    return cast("Log", logger.bind())  # bound once, because otherwise structlog binds it for every line
