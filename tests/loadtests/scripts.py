"""The scripts of loadtests/ as processes."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import json
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]

LOCUST = ("locust.main", "loadtests.scenarios.play")
"""What every load scenario imports; Locust takes seconds of CPU."""

END_SECONDS = 15.0
"""How long after SIGTERM a script may take before SIGKILL, which leaves behind what it has started."""


@contextlib.asynccontextmanager
async def running(script: str, *arguments: str, output: int = PIPE) -> AsyncIterator[Process]:
    """Run loadtests/SCRIPT for the length of the block, both its outputs in pipes, or in `output`.

    It hears SIGINT, also where the tests do not: a shell has what runs in the background ignore it.
    """
    command = ["env", "--default-signal=INT", sys.executable, f"loadtests/{script}", *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=output, stderr=output)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()  # so that it ends what it has started
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await process.wait()
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def finished(script: str, *arguments: str) -> tuple[int, str, str]:
    """Run loadtests/SCRIPT to its end; return its exit code and what it wrote to standard output and error."""
    async with running(script, *arguments) as process:
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


async def forked(
    script: str, *arguments: str, given: str = "", modules: Sequence[str] = LOCUST
) -> tuple[int, str, str]:
    """Do the same as `finished`, but in a fork of a process that has imported these modules already (see forking.py).

    The script may also be a file elsewhere, by its absolute path. It is given a text as its standard input.
    """
    return await asyncio.to_thread(_forked, script, arguments, given, tuple(modules))


def _forked(
    script: str, arguments: Sequence[str], given: str, modules: tuple[str, ...]
) -> tuple[int, str, str]:
    process = _forking(modules)
    assert process.stdin is not None
    assert process.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("in", "out", "err")]
        for file, text in zip(files, (given, "", ""), strict=True):
            file.write_text(text)
        command = [str(ROOT / "loadtests" / script), arguments, *map(str, files)]
        process.stdin.write(f"{json.dumps(command)}\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        return code, files[1].read_text(), files[2].read_text()


@functools.cache
def _forking(modules: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start the process that forks, which ends with its standard input, so with this process."""
    command = [sys.executable, str(Path(__file__).with_name("forking.py")), *modules]
    process = subprocess.Popen(  # noqa: S603 - ours
        ["env", "--default-signal=INT", *command],  # noqa: S607 - see `running`
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process
