"""The scripts of loadtests/ as processes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

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
