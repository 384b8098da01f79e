"""Starting processes, and ending every one of them by its id."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.common.errors import LoadTestError
from loadtests.common.machine import pinned

ROOT: Final = Path(__file__).resolve().parents[2]
"""The repository: where `python -m loadtests.…` works."""

START_SECONDS: Final = 20.0
END_SECONDS: Final = 10.0
"""How long after SIGTERM a process may take before SIGKILL."""

PIPE_SECONDS: Final = 1.0
"""How long the output of a process that has ended is waited for: a child of its own may hold the pipe."""

LINES_KEPT: Final = 10
LINE_BYTES: Final = 1 << 20

_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""All that a process gets of the caller's environment: a stray PORT or MAX_… must not change what is measured."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running process that listens.

    Attributes:
        pid: its id.
        port: on 127.0.0.1.
    """

    pid: int
    port: int


@contextlib.asynccontextmanager
async def serving(
    name: str,
    command: Sequence[str],
    *,
    cores: frozenset[int] | None,
    environment: Mapping[str, str] | None = None,
    listening: Callable[[], Coroutine[Any, Any, int]] | None = None,
) -> AsyncIterator[Server]:
    """Run a server; end it, and all that it has started, with the block.

    Args:
        name: what to call it in errors.
        command: the program and its arguments.
        cores: where it may run.
        environment: its settings, besides what every program needs.
        listening: returns its port as soon as it listens there; without it, the server has to print a line of JSON
            with `"event": "listening"` and its `"port"`.

    Raises:
        LoadTestError: it does not start. An error that leaves the block gets its last lines as a note.
    """
    process = await _start(name, command, cores, environment or {}, stdin=DEVNULL)
    output = _Output(process)
    try:
        yield Server(process.pid, await output.port(name, listening))
    except LoadTestError as error:
        if output.last:
            error.add_note(f"the last lines of {name}:\n" + "\n".join(output.last))
        raise
    finally:
        await _end(process)
        await output.stop()


async def answer_of(
    name: str, command: Sequence[str], question: object, *, cores: frozenset[int] | None, seconds: float
) -> dict[str, object]:
    """Run a program that reads one JSON object and prints another; return what it printed last.

    Raises:
        LoadTestError: it took longer than `seconds`, or printed something else.
    """
    exit_code, text = await _finish(name, command, json.dumps(question).encode(), cores, {}, seconds)
    try:
        answer = json.loads(text.rpartition("\n")[2])
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise LoadTestError(f"{name} ended with exit code {exit_code} and no answer:\n{text[-2000:]}")
    return answer


async def run(
    name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None, seconds: float
) -> None:
    """Run a program to its end.

    Raises:
        LoadTestError: it took longer than `seconds`, or failed.
    """
    exit_code, text = await _finish(name, command, b"", None, environment or {}, seconds)
    if exit_code:
        raise LoadTestError(f"{name} ended with exit code {exit_code}:\n{text[-2000:]}")


async def _finish(
    name: str,
    command: Sequence[str],
    standard_input: bytes,
    cores: frozenset[int] | None,
    environment: Mapping[str, str],
    seconds: float,
) -> tuple[int | None, str]:
    """Run a program to its end; return its exit code and what it printed."""
    process = await _start(name, command, cores, environment, stdin=PIPE)
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate(standard_input)
    except TimeoutError:
        raise LoadTestError(f"{name} did not finish within {seconds:g} s") from None
    finally:
        await _end(process)
    return process.returncode, output.decode(errors="replace").strip()


async def _start(
    name: str,
    command: Sequence[str],
    cores: frozenset[int] | None,
    environment: Mapping[str, str],
    *,
    stdin: int,
) -> Process:
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    try:
        with pinned(cores):
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=stdin,
                stdout=PIPE,
                stderr=STDOUT,
                limit=LINE_BYTES,
                cwd=ROOT,
                env={**inherited, **environment},
                start_new_session=True,  # a Ctrl-C at the terminal is for the benchmark, which ends them in order
            )
    except OSError as error:
        raise LoadTestError(f"{name} cannot be started ({command[0]}: {error.strerror})") from None


async def _end(process: Process) -> None:
    try:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await process.wait()
    finally:  # also where a second Ctrl-C cuts the waiting short
        # It led a group of its own, and its workers may outlive it there.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


class _Output:
    """What a server prints: read all the time, so that it never waits for its pipe; the last lines are kept."""

    def __init__(self, process: Process) -> None:
        self.last: deque[str] = deque(maxlen=LINES_KEPT)
        self._process = process
        self._port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read())

    async def port(self, name: str, listening: Callable[[], Coroutine[Any, Any, int]] | None) -> int:
        port = self._port if listening is None else asyncio.create_task(listening())
        either: set[asyncio.Future[Any]] = {port, self._reading}
        try:
            await asyncio.wait(either, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if port.done():
                return port.result()
        finally:
            port.cancel()
        if self._reading.done():
            raise LoadTestError(
                f"{name} ended with exit code {await self._process.wait()} instead of listening"
            )
        raise LoadTestError(f"{name} did not listen within {START_SECONDS:g} s")

    async def stop(self) -> None:
        await asyncio.wait({self._reading}, timeout=PIPE_SECONDS)
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._port.cancel()

    async def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - asked for as PIPE
        async for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            self.last.append(text)
            if not self._port.done() and (port := _announced_port(text)):
                self._port.set_result(port)


def _announced_port(line: str) -> int | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or record.get("event") != "listening":
        return None
    port = record.get("port")
    return port if isinstance(port, int) else None
