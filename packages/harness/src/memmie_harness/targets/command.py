"""A gateway that is any program: it is started by a command, and is ready when its port, a path or its log says so."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from memmie_harness.targets.errors import TargetError
from memmie_harness.targets.process import ProcessTarget
from memmie_harness.targets.ready_when import PORT_ONLY, ReadyWhen, listening, wait_for
from memmie_harness.wiring import LOOPBACK, WS_PATH

PORTS: Final = range(12_000, 32_000)
"""Below the ports that systems give away by themselves: from 32768 on in Linux, and from 49152 on in others."""


class CommandTarget(ProcessTarget):
    """A program that this object starts and stops; it listens on 127.0.0.1.

    Args:
        command: the program and its arguments. A program without a slash is looked up among the scripts of this
            interpreter's environment, and then in PATH.
        environment: variables besides the few that every process of the harness inherits.
        port: the port that the program was told to use; `ready.log` may find another.
        ready: how to notice that the program is ready, by default by its port.
        folder: its working directory.
        start_seconds: how long it may take to become ready.
        stop_signal: the signal that stops it.
        stop_seconds: how long it may take to end after the signal before it is killed.
        ws_path: the path of its WebSocket route.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        port: int = 0,
        ready: ReadyWhen | None = None,
        folder: Path = Path(),
        start_seconds: float = 10.0,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = 5.0,
        ws_path: str = WS_PATH,
    ) -> None:
        path = search_path()
        super().__init__(
            {"PATH": path, **(environment or {})},
            command=[str(find_program(command[0], path, folder)), *command[1:]],
            folder=folder,
            start_seconds=start_seconds,
            stop_seconds=stop_seconds,
        )
        self._port = port
        self._ready = ready or PORT_ONLY
        self._stop_signal = stop_signal
        self._ws_path = ws_path

    def __repr__(self) -> str:
        """Show the process and its address."""
        return f"<CommandTarget pid={self._process.pid if self._process else None} url={self._url}>"

    async def stop(self) -> None:
        """Send the stop signal and wait; kill the program if it does not end in time.

        Unlike a gateway of ours, other programs may end with any exit code.
        """
        if self._watch is None or self._watch.done():
            return
        self.send_signal(self._stop_signal)
        try:
            with contextlib.suppress(TargetError):
                await self.wait_ended(self._stop_seconds)
        finally:  # also after a cancellation by a second Ctrl-C
            await self.kill()

    async def _wait_started(self, *, until_ready: bool) -> None:
        async def look() -> str | None:
            if self.exit_code is not None:
                raise TargetError(f"it ended with exit code {self.exit_code} before it was ready")
            return await self._missing(self._ready if until_ready else listening(self._ready), self._port)

        await wait_for(look, self._start_seconds)


def search_path() -> str:
    """Return where programs are looked up: the scripts of this interpreter's environment, and then PATH."""
    return os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])


def find_program(name: str, path: str, folder: Path) -> Path:
    """Return the program that a name in a command stands for.

    Args:
        name: its name, or a path; a relative path is relative to `folder`.
        path: the folders to search, as in PATH.
        folder: the working directory.

    Raises:
        TargetError: there is no such program.
    """
    places = [folder / name] if "/" in name else [Path(part or ".") / name for part in path.split(os.pathsep)]
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return place.absolute()
    where = str(places[0]) if "/" in name else "PATH and the scripts of this Python environment"
    raise TargetError(f"there is no program {name!r} in {where}. Install it, or write its path")


def free_port() -> int:
    """Return a port on which nothing listens now; a program that cannot say which port it chose is told this one.

    The system gives none of these ports to a program that takes any, so nobody else has it a moment later.

    Raises:
        TargetError: none was found.
    """
    for port in secrets.SystemRandom().sample(PORTS, 100):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind((LOOPBACK, port))
            return port
    raise TargetError(f"a hundred ports of {LOOPBACK} were tried, and none is free")
