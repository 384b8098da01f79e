"""Log lines: what every line begins with."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.app.log_stream import LogStream
from memmie_gateway.app.logs import LEVELS, _timestamp, make_logger


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "XXX+5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_764_105_704_000_001_999, "2025-11-25T21:21:44.000001Z"),
        (1_764_105_704_999_999_999, "2025-11-25T21:21:44.999999Z"),
        (1_764_105_705_000_000_000, "2025-11-25T21:21:45.000000Z"),
        (4_102_444_799_999_999_999, "2099-12-31T23:59:59.999999Z"),
    ],
)
@pytest.mark.usefixtures("far_from_greenwich")
def test_a_timestamp_is_in_utc_to_the_microsecond(nanoseconds: int, expected: str) -> None:
    for _ in range(2):  # the second time from memory
        assert _timestamp(nanoseconds) == expected


async def test_a_line_begins_with_time_level_and_event() -> None:
    written = io.StringIO()
    stream = LogStream(written)
    before = datetime.now(UTC)
    make_logger("json", "info", stream, terminal=False).warning("something", detail="x")
    stream.close()
    line = json.loads(written.getvalue())
    assert list(line) == ["timestamp", "level", "event", "detail"]
    assert (line["level"], line["event"], line["detail"]) == ("warning", "something", "x")
    assert before <= datetime.fromisoformat(line["timestamp"]) <= datetime.now(UTC)


HOSTILE = "\x1b[2J\x1b]0;title\x07 \x9b1m\u202eevil\u200b\r\n2026 level=error \x00\x7f"


@pytest.mark.parametrize("terminal", [False, True])
async def test_a_line_for_people_has_no_raw_escapes(
    terminal: bool,  # noqa: FBT001 - a column of the table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever a client or Studio sent, such as the reason of a Close frame."""
    monkeypatch.setenv("NO_COLOR", "1")  # the renderer's own escapes are colours
    written = io.StringIO()
    stream = LogStream(written)
    log = make_logger("console", "info", stream, terminal=terminal)
    log.info("closed", reason=HOSTILE, detail=HOSTILE.replace(" ", ""), addresses=[HOSTILE])
    try:
        raise ValueError(HOSTILE)  # noqa: TRY301 - it is logged
    except ValueError:
        log.exception("library", detail="x")
    stream.close()
    text = written.getvalue()
    assert all(character.isprintable() or character == "\n" for character in text)
    lines = text.splitlines()
    assert r"\x1b[2J" in lines[0]
    assert "library" in lines[1]
    assert "Traceback" in text


@pytest.mark.parametrize("reason", [HOSTILE, "\x00\x1b\r\n", "\x7f", "\x9b1m", "\ud800"])
async def test_a_line_for_machines_has_no_raw_escapes(reason: str) -> None:
    written = io.StringIO()
    stream = LogStream(written)
    make_logger("json", "info", stream, terminal=True).info("closed", reason=reason, error=ValueError(reason))
    stream.close()
    assert written.getvalue().isascii()
    assert written.getvalue().rstrip("\n").isprintable()
    line = json.loads(written.getvalue())
    assert (line["reason"], line["error"]) == (reason, f"ValueError({reason!r})")


TEXT = st.text() | st.text(st.characters(codec="ascii"))  # there are two encoders
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXT
    | st.builds(ValueError, TEXT)  # which JSON does not have
    | st.just([{"a": HOSTILE}])
)
OTHERS = {
    "timestamp",
    "level",
    "event",
    "exc_info",
    "self",
    "method_name",
}  # fields and arguments of structlog itself
FIELDS = st.dictionaries(TEXT.filter(lambda name: name not in {"", *OTHERS}), VALUES, max_size=4)


@settings(max_examples=50)
@given(
    level=st.sampled_from(sorted(LEVELS)),
    event=TEXT,
    fields=FIELDS,
    lowest=st.sampled_from(sorted(LEVELS)),
)
def test_a_line_for_machines_is_what_a_chain_of_structlog_renders(
    level: str, event: str, fields: dict[str, object], lowest: str
) -> None:
    written = io.StringIO()
    stream = LogStream(written)
    log = make_logger("json", lowest, stream, terminal=False)
    chained = structlog.wrap_logger(
        structlog.PrintLogger(theirs := io.StringIO()),
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer(default=repr)],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[lowest]),
    )

    async def write() -> None:
        getattr(log, level)(event, **fields)
        log.record(event, fields)
        stream.close()

    asyncio.run(write())
    getattr(chained, level)(event, **fields)
    chained.info(event, **fields)
    ours = [json.loads(line) for line in written.getvalue().splitlines()]
    for line in ours:
        del line["timestamp"]
    assert ours == [json.loads(line) for line in theirs.getvalue().splitlines()]
