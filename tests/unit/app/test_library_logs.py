"""What Python and its libraries report: a line of the log, never a write to standard error."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from memmie_gateway.app.library_logs import captured
from memmie_gateway.app.log_stream import LogStream
from memmie_gateway.app.logs import make_logger


async def reported(do: Callable[[], object]) -> list[dict[str, Any]]:
    written = io.StringIO()
    stream = LogStream(written)
    with captured(make_logger("json", "info", stream, terminal=False)):
        do()
        await asyncio.sleep(0)  # what a thread reports is written by the loop
    stream.close()
    return [json.loads(line) for line in written.getvalue().splitlines()]


def fail() -> None:
    raise ValueError("a bug")


def in_a_thread(do: Callable[[], object]) -> None:
    thread = threading.Thread(target=do)
    thread.start()
    thread.join()


class Failing:
    def __del__(self) -> None:
        fail()


def log(level: int, name: str = "asyncio") -> Callable[[], None]:
    return lambda: logging.getLogger(name).log(level, "said %s", "this")


def report_to_the_loop() -> None:
    try:
        fail()
    except ValueError as error:
        asyncio.get_running_loop().call_exception_handler({"message": "a client", "exception": error})


@pytest.mark.parametrize(
    ("do", "level", "logger", "detail", "fails"),
    [
        pytest.param(log(logging.INFO), "info", "asyncio", "said this", False, id="info"),
        pytest.param(log(logging.WARNING), "warning", "asyncio", "said this", False, id="warning"),
        pytest.param(log(logging.CRITICAL, "x.y"), "error", "x.y", "said this", False, id="critical"),
        pytest.param(report_to_the_loop, "error", "asyncio", "a client", True, id="event loop"),
        pytest.param(lambda: warnings.warn("old", stacklevel=1), "warning", "py.warnings", "old", False, id="warnings"),
        pytest.param(lambda: in_a_thread(fail), "error", "python", "a thread failed", True, id="thread"),
        pytest.param(lambda: in_a_thread(log(logging.ERROR)), "error", "asyncio", "said this", False, id="from a thread"),
        pytest.param(Failing, "error", "python", "Exception ignored", True, id="destructor"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("always")
async def test_a_report_is_a_line(
    capfd: pytest.CaptureFixture[str],
    do: Callable[[], object],
    level: str,
    logger: str,
    detail: str,
    fails: bool,  # noqa: FBT001 - a column of the table
) -> None:
    [line] = await reported(do)
    assert (line["event"], line["level"], line["logger"]) == ("library", level, logger)
    assert detail.lower() in line["detail"].lower() or "ignored" in line["detail"]
    assert ("ValueError: a bug" in line.get("exception", "")) is fails
    assert capfd.readouterr() == ("", "")


async def test_lines_for_debugging_are_left_out() -> None:
    """A library's may contain the URL of a Studio, with its secrets."""
    assert await reported(log(logging.DEBUG)) == []


async def test_what_cannot_be_written_disturbs_nobody() -> None:
    assert await reported(lambda: logging.getLogger("x").info("%d", "one")) == []


async def test_afterwards_everything_is_as_before() -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.unraisablehook, threading.excepthook, warnings.showwarning)
    await reported(lambda: None)
    assert (
        root.handlers,
        root.level,
        sys.unraisablehook,
        threading.excepthook,
        warnings.showwarning,
    ) == before
