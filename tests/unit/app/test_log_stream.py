"""The stream behind the log: it neither blocks nor fails, and keeps the order."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import threading
import time
from collections.abc import Iterator
from typing import TextIO

import pytest

from memmie_gateway.app import log_stream
from memmie_gateway.app.log_stream import LogStream

PATIENCE = 5.0


async def read(file: int, size: int) -> bytes:
    """Read so many bytes, without a thread: one that waits for bytes that do not come would outlive its test."""
    os.set_blocking(file, False)
    taken = b""
    async with asyncio.timeout(PATIENCE):
        while len(taken) < size:
            try:
                taken += os.read(file, 1 << 16)
            except BlockingIOError:
                await asyncio.sleep(0.001)
    return taken


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """The reading end, and a text stream on the writing end."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        yield reader, stream
    os.close(reader)


async def test_lines_leave_in_order_and_together(pipe: tuple[int, TextIO]) -> None:
    reader, stream = pipe
    log = LogStream(stream)
    for number in range(100):
        log.write(f"{number}\n")
    assert await read(reader, 290) == "".join(f"{number}\n" for number in range(100)).encode()


async def test_closing_writes_what_is_left_and_a_later_line_opens_it_again() -> None:
    stream = io.StringIO()
    log = LogStream(stream)
    for line in ("one\n", "two\n"):
        log.write(line)
        log.close()
    assert stream.getvalue() == "one\ntwo\n"


async def test_a_reader_that_has_stopped_holds_nobody_up_and_lines_it_does_not_take_are_counted(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_stream, "CLOSE_SECONDS", 0.1)
    reader, stream = pipe
    log = LogStream(stream)
    line = "x" * 1023 + "\n"
    began = time.monotonic()
    count = 2 * log_stream.MAX_WAITING // len(line)
    for _ in range(count):
        log.write(line)
    log.close()
    assert time.monotonic() - began < PATIENCE
    assert 0.4 * count < log.dropped < count

    # What was kept is there for a reader that comes back, whole.
    log.write("later\n")
    kept = line.encode() * (count - log.dropped) + b"later\n"
    text = await read(reader, len(kept))
    assert text == kept


async def test_a_reader_that_is_gone_disturbs_nobody() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        log = LogStream(stream)
        log.write("nobody reads this\n")
        log.close()
        log.write("nor this\n")
        log.close()
    log.write("and this has nowhere to go\n")
    log.close()


async def test_a_terminal_that_nobody_reads_holds_nobody_up() -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stream:
        log = LogStream(stream)
        began = time.monotonic()
        for _ in range(100):
            log.write("x" * 1023 + "\n")
            log._hand_on()
        assert time.monotonic() - began < PATIENCE
        assert log._timer is not None
        log._timer.cancel()
        assert (await read(master, 1000)).startswith(b"x" * 1000)
    os.close(master)


async def test_closing_waits_so_long_in_all_and_not_for_each_piece(pipe: tuple[int, TextIO]) -> None:
    reader, stream = pipe
    log = LogStream(stream)
    for _ in range(600):
        log.write("x" * 1023 + "\n")

    def sip() -> None:
        for _ in range(30):
            if closed.wait(0.2):
                return
            os.read(reader, 4096)

    closed = threading.Event()
    sipping = threading.Thread(target=sip)
    sipping.start()
    began = time.monotonic()
    log.close()
    took = time.monotonic() - began
    closed.set()
    sipping.join()
    assert took < 2 * log_stream.CLOSE_SECONDS


async def test_lines_that_a_full_disk_does_not_take_are_counted() -> None:
    with open("/dev/full", "w") as stream:  # noqa: ASYNC230, PTH123 - a device
        log = LogStream(stream)
        for number in range(10):
            log.write(f"{number}\n")
        log.close()
    assert log.dropped == 10


async def test_what_follows_a_line_that_was_cut_off_is_a_line_of_its_own(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, stream = pipe
    log = LogStream(stream)
    write = os.write

    def half(file: int, data: bytes) -> int:
        if len(data) < 8:
            raise OSError(errno.ENOSPC, "no space left")
        return write(file, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    log.write("a line of sixteen\n")
    log.close()
    monkeypatch.undo()
    log.write("another\n")
    log.close()
    assert (await read(reader, 22)).splitlines()[-1] == b"another"
    assert log.dropped == 1


async def test_lines_are_written_whole(pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch) -> None:
    """So that those of two processes on one pipe stay apart."""
    _, stream = pipe
    written: list[bytes] = []

    def write(_: int, data: bytes) -> int:
        written.append(data)
        return len(data)

    monkeypatch.setattr(os, "write", write)
    log = LogStream(stream)
    for number in range(100):
        log.write(f"{number}:{'x' * 300}\n")
    log.close()
    assert len(written) > 1
    assert all(piece.endswith(b"\n") and len(piece) <= 4096 for piece in written)


async def test_what_is_no_text_is_written_all_the_same(pipe: tuple[int, TextIO]) -> None:
    reader, stream = pipe
    log = LogStream(stream)
    log.write("\ud800\n")
    log.close()
    assert await read(reader, 7) == b"\\ud800\n"
