"""The output of log lines: gathered for a moment, and written without blocking."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import time
from collections import deque
from typing import Final, TextIO

GATHER_SECONDS: Final = 0.02
"""Seconds for which lines are gathered, so that a thousand simultaneous ends cause only a few writes."""

MAX_WAITING: Final = 4 * 1024 * 1024
"""Maximum number of bytes that wait to be written; further lines are dropped and counted."""

CLOSE_SECONDS: Final = 1.0
"""Maximum time in seconds for writing the remaining lines when the gateway stops."""


class LogStream:
    """A text stream that never blocks and never fails.

    A stalled reader, a full disk or a closed pipe costs log lines, but does not affect clients. Lines do not go through
    Python's own buffer, because it blocks. Short lines are written whole, so that the lines of two processes on one pipe
    do not mix.

    Args:
        stream: the stream for the lines.

    Attributes:
        dropped: number of lines that were not written, because the buffer was full or writing failed.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: deque[bytes] = deque()
        self._begun = b""  # the rest of a line that was partly written
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._file = _open_file(stream)
        self._room = select.poll()
        if self._file >= 0:
            self._room.register(self._file, select.POLLOUT)
        self.dropped = 0

    def __repr__(self) -> str:
        return f"<LogStream waiting={self._waiting} dropped={self.dropped}>"

    def write(self, text: str) -> None:
        """Add a line as text; see `add`."""
        self.add(text.encode(errors="backslashreplace"))

    def add(self, line: bytes) -> None:
        """Add a line in UTF-8 with its end, which is written a moment later, together with the next lines."""
        if self._waiting > MAX_WAITING:
            self.dropped += 1
            return
        self._waiting += len(line)
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._hand_on)

    def close(self) -> None:
        """Write the remaining lines, for at most `CLOSE_SECONDS`; the stream can still be used afterwards."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._write_out(CLOSE_SECONDS)

    def _hand_on(self) -> None:
        self._timer = None
        self._write_out(0)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._hand_on)

    def _write_out(self, patience: float) -> None:
        """Write the waiting lines while the file accepts data, or accepts it within `patience` seconds."""
        if self._file < 0:
            text = b"".join(self._lines).decode()
            self._forget()
            with contextlib.suppress(ValueError):  # the stream is closed
                self._stream.write(text)
            return
        until = time.monotonic() + patience
        while self._waiting and self._room.poll(max(0.0, until - time.monotonic()) * 1000):
            part = self._begun or self._gather()
            try:
                written = os.write(
                    self._file, part[: select.PIPE_BUF]
                )  # if a pipe accepts data at all, it accepts this much
            except BlockingIOError:  # a terminal may accept less
                written = 0
            except OSError:  # a full disk, a closed pipe
                self._give_up(part)
                return
            self._begun = part[written:]
            self._waiting -= written
            if not written:
                return

    def _gather(self) -> bytes:
        """Return as many whole lines as one write accepts, or one longer line."""
        part = self._lines.popleft()
        while self._lines and len(part) + len(self._lines[0]) <= select.PIPE_BUF:
            part += self._lines.popleft()
        return part

    def _give_up(self, part: bytes) -> None:
        """Drop the waiting lines; after a partly written line, add a line end, so that the next line stays separate."""
        self.dropped += len(self._lines) + part.count(b"\n")
        cut = part is self._begun
        self._forget()
        if cut:
            self._begun = b"\n"
            self._waiting = 1

    def _forget(self) -> None:
        self._lines.clear()
        self._begun = b""
        self._waiting = 0


def _open_file(stream: TextIO) -> int:
    """Return the file descriptor to write to, for a terminal a separate non-blocking one; -1 if there is no file."""
    try:
        file = stream.fileno()
    except (OSError, ValueError):  # as in a test that captures the output
        return -1
    if os.isatty(file):
        with contextlib.suppress(OSError):
            return os.open(f"/dev/fd/{file}", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    return file
