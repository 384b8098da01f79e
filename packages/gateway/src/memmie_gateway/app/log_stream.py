"""Where log lines go: gathered for a moment, and written only as far as their reader takes them at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import time
from collections import deque
from typing import Final, TextIO

GATHER_SECONDS: Final = 0.02
"""How long lines are gathered: a thousand connections that end at once are a few writes, not a thousand."""

MAX_WAITING: Final = 4 * 1024 * 1024
"""Bytes that may wait for a reader that does not read; lines beyond are dropped and counted."""

CLOSE_SECONDS: Final = 1.0
"""How long a reader may take for what is left when the gateway ends."""


class LogStream:
    """A text stream that never blocks and never fails.

    A reader that has stopped, a full disk or a closed pipe costs log lines, not clients. Python's own buffer is passed
    by, as it blocks; and lines are written whole, so that those of two processes on one pipe stay apart.

    Args:
        stream: where the lines go in the end.

    Attributes:
        dropped: lines that were not written: nobody took them in time, or they could not be.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: deque[bytes] = deque()
        self._begun = b""  # of a line that was written in part
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
        """Take a line; it leaves in a moment, with those that follow it."""
        if self._waiting > MAX_WAITING:
            self.dropped += 1
            return
        line = text.encode(errors="backslashreplace")
        self._waiting += len(line)
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._hand_on)

    def close(self) -> None:
        """Write what is left, as far as its reader takes it in a second; a later line begins anew."""
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
        """Write what waits, as long as there is room for it, or there will be within `patience` seconds."""
        if self._file < 0:
            text = b"".join(self._lines).decode()
            self._forget()
            with contextlib.suppress(ValueError):  # somebody has closed it
                self._stream.write(text)
            return
        until = time.monotonic() + patience
        while self._waiting and self._room.poll(max(0.0, until - time.monotonic()) * 1000):
            part = self._begun or self._gather()
            try:
                written = os.write(
                    self._file, part[: select.PIPE_BUF]
                )  # so much fits where there is room at all
            except BlockingIOError:  # a terminal has less
                written = 0
            except OSError:  # a full disk, a closed pipe
                self._give_up(part)
                return
            self._begun = part[written:]
            self._waiting -= written
            if not written:
                return

    def _gather(self) -> bytes:
        """Take whole lines that can be written at once, or one that cannot."""
        part = self._lines.popleft()
        while self._lines and len(part) + len(self._lines[0]) <= select.PIPE_BUF:
            part += self._lines.popleft()
        return part

    def _give_up(self, part: bytes) -> None:
        """Drop what waits; where a line was written in part, what comes next must not be taken for the rest of it."""
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
    """Return what to write to: for a terminal one of our own that does not block; -1 where there is no file below."""
    try:
        file = stream.fileno()
    except (OSError, ValueError):  # as where a test catches what is written
        return -1
    if os.isatty(file):
        with contextlib.suppress(OSError):
            return os.open(f"/dev/fd/{file}", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    return file
