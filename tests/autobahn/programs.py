"""The programs of a run: each is started, followed line by line, and ended by its process id."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
END_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 400.0
"""How long a program may print nothing; the time limit of a case is 120 s or less, but the machine may be busy."""

INHERITED: Final = ("HOME", "LANG", "PATH", "TMPDIR")
TAIL_LINES: Final = 20


class ProgramError(Exception):
    """A program failed, or is stuck."""


class Program:
    """A running program.

    Args:
        command: the program and its arguments.
        process: its process.
    """

    def __init__(self, command: Sequence[str | Path], process: asyncio.subprocess.Process) -> None:
        self._name = " ".join(str(part) for part in command[:4])
        self._process = process
        self._tail: list[str] = []

    async def line(self) -> str | None:
        """Return the next line of output; None at its end.

        Raises:
            ProgramError: it prints nothing for too long.
        """
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                data = await self._process.stdout.readline()
        except TimeoutError:
            raise self._failure(f"printed nothing for {SILENCE_SECONDS:g} s") from None
        self._tail = [*self._tail, data.decode(errors="replace").rstrip()][-TAIL_LINES:]
        return self._tail[-1] if data else None

    async def line_with(self, words: str) -> str:
        """Return the next line of output that contains these words.

        Raises:
            ProgramError: no such line came.
        """
        while (line := await self.line()) is not None:
            if words in line:
                return line
        raise self._failure(f"ended before it printed {words!r}")

    async def port(self) -> int:
        """Return the port that it prints in a line of JSON."""
        return int(json.loads(await self.line_with('"listening"'))["port"])

    async def finish(self, on_line: Callable[[], None] | None = None, words: str = "") -> None:
        """Follow it to its end, and call `on_line` for each line of output that contains `words`.

        Raises:
            ProgramError: it prints nothing for too long, or its exit code is not 0.
        """
        while (line := await self.line()) is not None:
            if on_line is not None and words in line:
                on_line()
        if await self._process.wait():
            raise self._failure(f"ended with exit code {self._process.returncode}")

    async def end(self) -> None:
        """End it, with all processes that it started."""
        if self._process.returncode is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), END_SECONDS)
                return

    def _failure(self, what: str) -> ProgramError:
        return ProgramError("\n".join([f"{self._name} {what}. Its last lines:", *self._tail]))


@contextlib.asynccontextmanager
async def running(*command: str | Path) -> AsyncIterator[Program]:
    """Run a program for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**{name: os.environ[name] for name in INHERITED if name in os.environ}, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
        limit=1 << 20,
    )
    program = Program(command, process)
    try:
        yield program
    finally:
        await program.end()
