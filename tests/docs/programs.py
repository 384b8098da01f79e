"""The programs that run what the pages show: Node.js, and a browser."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import shutil
import subprocess
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def missing(words: str) -> NoReturn:
    """Skip the test, because a program is not installed; in CI, which has all of them, let it fail."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{words}, and CI needs it")
    pytest.skip(words)


@functools.cache
def node() -> tuple[str, ...]:
    """Return the command of a Node.js that has WebSocket, or skip the test."""
    program = shutil.which("node")
    if program is None:
        missing("Node.js is not installed")
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603 - the user's own
    major, minor = map(int, re.findall(r"\d+", shown)[:2])
    if major >= 22:
        return (program,)
    if (major, minor) < (20, 10):
        missing(f"Node.js {shown.strip()} has no WebSocket; 20.10 has")
    return (program, "--experimental-websocket", "--no-warnings")


@contextlib.asynccontextmanager
async def running(*command: str, folder: Path | None = None) -> AsyncIterator[Process]:
    """A program with its output in a pipe, killed in the end."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdin=DEVNULL, stdout=PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def browser(profile: Path) -> list[str]:
    """Return the command that opens a page in Chromium without a window, or skip the test; the address comes after it."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        missing(f"none of these browsers is installed: {', '.join(BROWSERS)}")
    return [
        program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}",
    ]  # fmt: skip
