"""Everything that Python and its libraries report, as lines of the gateway's own log.

Otherwise it would go to standard error, which blocks the process if nobody reads that pipe.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

LOWEST_LEVEL: Final = logging.INFO
"""The lowest level of libraries; their lines for debugging may contain URLs and headers."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


@contextmanager
def captured(log: FilteringBoundLogger) -> Iterator[None]:
    """Write everything that the standard library and other libraries report to a log; to be entered in a running loop.

    These are the messages of `logging`, warnings, and exceptions that nothing handles, also those of threads and of
    destructors.

    Args:
        log: the logger.
    """
    handler = _Handler(_Reporter(log))
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    unraisable, in_thread = sys.unraisablehook, threading.excepthook
    root.handlers[:] = [handler]
    root.setLevel(LOWEST_LEVEL)
    logging.captureWarnings(True)  # noqa: FBT003 - the module's signature
    sys.unraisablehook = lambda error: _report(
        "python",
        error.err_msg or "an exception was ignored",
        error.exc_type,
        error.exc_value,
        error.exc_traceback,
    )
    threading.excepthook = lambda error: _report(
        "python", "a thread failed", error.exc_type, error.exc_value, error.exc_traceback
    )
    try:
        yield
    finally:
        logging.captureWarnings(False)  # noqa: FBT003 - the module's signature
        root.handlers[:] = handlers
        root.setLevel(level)
        sys.unraisablehook, threading.excepthook = unraisable, in_thread


def _report(
    name: str,
    words: str,
    kind: type[BaseException],
    error: BaseException | None,
    traceback: TracebackType | None,
) -> None:
    exc_info = (kind, error if error is not None else kind(), traceback)
    logging.getLogger(name).error(words, exc_info=exc_info)


class _Reporter:
    """Writes lines from any thread.

    Args:
        log: the logger, which may be used only in the thread of the event loop.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._log = log

    def __call__(self, level: int, fields: dict[str, Any]) -> None:
        if level >= logging.ERROR:
            log: Callable[..., Any] = self._log.error
        else:
            log = self._log.warning if level >= logging.WARNING else self._log.info
        if threading.get_ident() == self._thread:
            log("library", **fields)
        else:
            self._loop.call_soon_threadsafe(lambda: log("library", **fields))


class _Handler(logging.Handler):
    """A handler that gives records to a reporter, and never fails."""

    def __init__(self, report: _Reporter) -> None:
        super().__init__()
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: dict[str, Any] = {"logger": record.name, "detail": record.getMessage().strip()}
            if record.exc_info:
                fields["exc_info"] = record.exc_info
            self._report(record.levelno, fields)
        except Exception:  # noqa: BLE001, S110 - a message that cannot be written must not disturb whoever reports it
            pass
