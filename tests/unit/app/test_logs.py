"""Log lines: what every line begins with."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest

from memmie_gateway.app.log_stream import LogStream
from memmie_gateway.app.logs import _timestamp, make_logger


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
