"""A stack of one's own: started with a plan, ended with the block."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from loadtests.common.errors import LoadTestError
from loadtests.common.supervisor import ROOT
from loadtests.stack.system import Plan, System

START_SECONDS: Final = 60.0
END_SECONDS: Final = 40.0
"""How long all of it may take to end; each of its processes has a deadline of its own before that."""


@contextlib.contextmanager
def own_stack(plan: Plan) -> Iterator[System]:
    """Run Auth, Studios and gateways on free ports of 127.0.0.1 for the length of the block.

    They are another process's children, as that one is an asyncio program and Locust has patched this one.

    Raises:
        LoadTestError: something did not start; says what and why.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests.stack.serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,  # a Ctrl-C at the terminal is for the load, which ends the stack in order
    )
    try:
        yield _started(process, plan)
    finally:
        _end(process)


def _started(process: subprocess.Popen[str], plan: Plan) -> System:
    assert process.stdin is not None  # noqa: S101 - asked for as PIPE
    assert process.stdout is not None  # noqa: S101 - asked for as PIPE
    assert process.stderr is not None  # noqa: S101 - asked for as PIPE
    process.stdin.write(json.dumps(asdict(plan)) + "\n")
    process.stdin.flush()
    too_late = threading.Timer(START_SECONDS, process.kill)
    too_late.start()
    try:
        line = process.stdout.readline()
    finally:
        too_late.cancel()
    if not line:
        words = process.stderr.read().strip() or f"it was not ready within {START_SECONDS:g} s"
        raise LoadTestError(f"the stack does not start: {words}")
    return System.from_json(json.loads(line))


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None  # noqa: S101 - asked for as PIPE
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
