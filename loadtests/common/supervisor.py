"""Start processes in a known environment, wait until they are ready, and end every one of them by its id.

The supervisor blocks and knows no event loop, so the benchmark can use it as it is and the load scenarios can use it
under gevent. A server writes its output to a file, so that it never waits for somebody to read it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import psutil

from loadtests.common.errors import LoadTestError
from loadtests.common.machine import pinned

ROOT: Final = Path(__file__).resolve().parents[2]
"""The repository, from which `python -m loadtests.…` works."""

START_SECONDS: Final = 20.0
"""How long a server may take until it listens."""

END_SECONDS: Final = 10.0
"""How long after SIGTERM a process may take before SIGKILL."""

POLL_SECONDS: Final = 0.01

LINES_QUOTED: Final = 10

OUTPUT_BYTES: Final = 1 << 16
"""How much of a server's output is read at its start (to find its port) and at its end (to quote it)."""

WAKEFUL: Final = """
import os, sys
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
parent = int(sys.argv[1])
while os.getppid() == parent:
    pass
"""
"""A program that uses all the time that no other program wants, until its parent process, which is its argument, has ended.

Otherwise, after a SIGKILL of the benchmark, it would keep the core busy for ever."""

INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""The only variables a process gets from the caller's environment: a stray PORT or MAX_… must not change what is measured."""

Ready = Callable[[str], int | None]
"""Takes a server's output so far and returns its port once it listens there, None before."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running process that listens on a port of 127.0.0.1."""

    pid: int
    port: int


def announced_port(output: str) -> int | None:
    """Return the port from a line of JSON with `"event": "listening"`; None without such a line."""
    for line in output.splitlines():
        with contextlib.suppress(ValueError):
            match json.loads(line):
                case {"event": "listening", "port": int(port)}:
                    return port
    return None


@contextlib.contextmanager
def serving(
    name: str,
    command: Sequence[str],
    *,
    cores: frozenset[int] | None = None,
    environment: Mapping[str, str] | None = None,
    ready: Ready = announced_port,
) -> Iterator[Server]:
    """Run a server for the length of the block, and end it with everything it started.

    By default the server prints its port (see `announced_port`). A LoadTestError that leaves the block has the server's
    last lines as a note.
    """
    with tempfile.TemporaryFile() as output, _running(name, command, cores, environment, output) as process:
        try:
            yield Server(process.pid, _port_of(name, process, output, ready))
        except LoadTestError as error:
            if lines := _last_lines(output):
                error.add_note(f"the last lines of {name}:\n{lines}")
            raise


def answer_of(
    name: str, command: Sequence[str], question: object, *, cores: frozenset[int] | None, seconds: float
) -> dict[str, Any]:
    """Run a program that reads JSON and prints a JSON object as its last line; return that object."""
    with _running(name, command, cores, None, subprocess.PIPE) as process:
        try:
            output, _ = process.communicate(json.dumps(question).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            raise LoadTestError(f"{name} did not finish within {seconds:g} s") from None
    text = output.decode(errors="replace").strip()
    with contextlib.suppress(ValueError):
        answer = json.loads(text.rpartition("\n")[2])
        if isinstance(answer, dict):
            return answer
    raise LoadTestError(f"{name} ended with exit code {process.returncode} and no answer:\n{text[-2000:]}")


@contextlib.contextmanager
def awake(cores: Iterable[int]) -> Iterator[None]:
    """Keep cores from sleeping for the length of the block; a LoadTestError says that one may have slept."""
    command = [sys.executable, "-c", WAKEFUL, str(os.getpid())]
    programs = {}
    with contextlib.ExitStack() as stack:
        for core in cores:
            name = f"the program that keeps core {core} awake"
            running = _running(name, command, frozenset([core]), None, subprocess.DEVNULL)
            programs[name] = stack.enter_context(running)
        yield
        for name, program in programs.items():
            if program.poll() is not None:
                raise LoadTestError(f"{name} ended with exit code {program.returncode}")


def end_children() -> None:
    """End every process this one still has: an interrupt may come between the start of a process and its bookkeeping."""
    for child in psutil.Process().children():
        _kill_group(child.pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()  # it may not lead its group yet


@contextlib.contextmanager
def _running(
    name: str,
    command: Sequence[str],
    cores: frozenset[int] | None,
    environment: Mapping[str, str] | None,
    output: IO[bytes] | int,
) -> Iterator[subprocess.Popen[bytes]]:
    inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
    try:
        with pinned(cores):
            process = subprocess.Popen(  # noqa: S603 - our own programs and the peers
                command,
                stdin=subprocess.PIPE if output == subprocess.PIPE else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**inherited, **(environment or {})},
                start_new_session=True,  # a Ctrl-C at the terminal is for the caller, which ends its processes in order
            )
    except OSError as error:
        raise LoadTestError(f"{name} cannot be started ({command[0]}: {error.strerror})") from None
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
    finally:  # also where a second Ctrl-C cuts the waiting short
        # The process led a group of its own, and its workers may outlive it there.
        _kill_group(process.pid)
        process.wait()
        for pipe in filter(None, (process.stdin, process.stdout)):
            with contextlib.suppress(OSError):
                pipe.close()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _port_of(name: str, process: subprocess.Popen[bytes], output: IO[bytes], ready: Ready) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        port = ready(os.pread(output.fileno(), OUTPUT_BYTES, 0).decode(errors="replace"))
        if port is not None:
            return port
        if ended:
            raise LoadTestError(f"{name} ended with exit code {process.returncode} instead of listening")
        time.sleep(POLL_SECONDS)
    raise LoadTestError(f"{name} did not listen within {START_SECONDS:g} s")


def _last_lines(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    text = os.pread(output.fileno(), OUTPUT_BYTES, max(0, size - OUTPUT_BYTES)).decode(errors="replace")
    return "\n".join(text.splitlines()[-LINES_QUOTED:])
