"""A fake Studio or Auth as a process of its own, behind its relays; it starts again at the same port."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import Final

from tests.chaos.link import Link

AUTH: Final = "auth"
"""The name of the service that is Auth; all others are Studios."""

START_SECONDS: Final = 20.0
"""How long a process may take to start on a busy machine."""

STOP_SECONDS: Final = 10.0
"""How long a process may take to end after SIGTERM."""


class StageError(Exception):
    """A process did not start or did not end as it should; the message says which."""


class Service:
    """A fake as a process of its own, which starts again at the same port.

    Args:
        name: such as `studio-1`.
        folder: where its journals and errors go.
        links: the relays before it.
        extra: more arguments of its command.
    """

    def __init__(self, name: str, folder: Path, extra: tuple[str, ...] = ()) -> None:
        self.name = name
        self.port = 0
        self.links: list[Link] = []
        self._folder = folder
        self._extra = extra
        self._starts = 0
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it and its relays' listeners."""
        self._starts += 1
        if self.name == AUTH:
            command = ["-m", "memmie_fake_auth.cli", "serve", "--port", str(self.port), *self._extra]
        else:
            journal = self._folder / f"{self.name}.{self._starts}.journal"
            command = ["-m", "tests.chaos.studio", self.name, str(journal), str(self.port)]
        with (self._folder / f"{self.name}.err").open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *command,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors,
                start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await self._process.stdout.readline()
            self.port = json.loads(line)["port"]
        except (TimeoutError, ValueError):
            raise StageError(f"{self.name} did not start; see {self._folder / f'{self.name}.err'}") from None
        for link in self.links:
            await link.open()

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        for link in self.links:
            link.shut()
        process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    @property
    def url(self) -> str:
        """Its own HTTP address, without a relay."""
        return f"http://127.0.0.1:{self.port}"
