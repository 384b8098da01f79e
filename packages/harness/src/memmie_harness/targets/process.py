"""A gateway as a process of its own, which is the default for tests."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import sys
from asyncio.subprocess import Process, SubprocessStreamProtocol
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from memmie_harness.targets.errors import TargetError
from memmie_harness.targets.external import ExternalTarget
from memmie_harness.targets.installed import NOT_INSTALLED
from memmie_harness.targets.readiness import wait_until_ready

GATEWAY_MODULE: Final = "memmie_gateway"
"""The module that is run by default."""

PASSED_ON: Final = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONPATH",
    "SYSTEMROOT",
    "TMPDIR",
    "TZ",
)
"""The variables of the caller's environment that a gateway inherits, because an interpreter may need them to start.

Others, such as `PORT` on a container platform or proxy settings, would make tests depend on the machine.
"""

LINE_BYTES: Final = 1024 * 1024
"""The longest line of output that is kept; a longer one is replaced by a note."""

PIPE_SECONDS: Final = 1.0
"""How long the pipes are read after the process has ended, if a child process of its own holds them open."""


class _ExitProtocol(SubprocessStreamProtocol):
    """Reports the end of the process, even if a child of it holds the pipes; `Process.wait` would wait for both."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit, loop)
        self.ended = asyncio.Event()

    def process_exited(self) -> None:
        """Note that the process has ended."""
        super().process_exited()
        self.ended.set()


class ProcessTarget(ExternalTarget):
    """A gateway process that this object starts and stops.

    Its output is read continuously, so that it never blocks on a full pipe.

    Args:
        environment: the gateway's settings (spec §7). It needs `LOG_FORMAT=json`, and `PORT=0` so that runs do not
            collide.
        command: the command to run, by default `python -m memmie_gateway serve` with this interpreter. The program
            must write one line of JSON, `{"event": "listening", "url": …}`, when it listens.
        folder: the working directory, by default that of this process.
        start_seconds: how long it may take to listen, and again to become ready.
        stop_seconds: how long it may take to end after SIGTERM before it is killed.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        command: Sequence[str] | None = None,
        folder: Path | None = None,
        start_seconds: float = 10.0,
        stop_seconds: float = 5.0,
    ) -> None:
        super().__init__(start_seconds, stop_seconds)
        self._environment = dict(environment)
        self._command = command
        self._folder = folder
        self._process: Process | None = None
        self._watch: asyncio.Task[int] | None = None

    def __repr__(self) -> str:
        """Show the process and its address, but not the environment, which may contain secrets."""
        return f"<ProcessTarget pid={self._process.pid if self._process else None} url={self._url}>"

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            TargetError: it was not started.
        """
        return self._started().pid

    @property
    def exit_code(self) -> int | None:
        """The process's exit code, negative for a signal; `None` while it runs or before it is started."""
        return self._process.returncode if self._process else None

    async def start(self, *, until_ready: bool = True) -> None:
        """See `Target.start`; a target can be started only once.

        Raises:
            TargetError: as for `Target.start`, or no gateway is installed. The message ends with the last lines
                that the process wrote.
        """
        if self._process is not None:
            raise TargetError(f"this gateway was already started, as process {self.pid}. Make a new target")
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            lambda: _ExitProtocol(LINE_BYTES, loop),
            *self._resolve_command(),
            env=clean_environment(self._environment),
            cwd=self._folder,
            stdin=asyncio.subprocess.DEVNULL,
            # Ctrl-C must reach pytest only, because the teardown stops the gateway in order.
            start_new_session=True,
        )
        self._process = Process(transport, protocol, loop)
        self._watch = asyncio.create_task(self._follow(transport, protocol), name=f"gateway {self.pid}")
        try:
            await self._wait_started(until_ready=until_ready)
        except TargetError as error:
            exit_code = self.exit_code
            await self.kill()
            raise self._failure(f"the gateway did not start: {error}", exit_code) from None
        except BaseException:  # such as a cancellation, after which the caller does not call stop()
            await self.kill()
            raise

    async def stop(self) -> None:
        """Send SIGTERM and wait; see `Target.stop`.

        Raises:
            TargetError: the process had to be killed, or its exit code was not 0.
        """
        if self._watch is None or self._watch.done():
            return
        pid = self.pid
        self.send_signal(signal.SIGTERM)
        try:
            exit_code = await self.wait_ended(self._stop_seconds)
        except TargetError:
            await self.kill()
            raise self._failure(
                f"gateway process {pid} was killed, because it did not end within {self._stop_seconds:g} s after SIGTERM"
            ) from None
        except BaseException:  # such as a cancellation by a second Ctrl-C
            await self.kill()
            raise
        if exit_code != 0:
            raise self._failure(
                f"gateway process {pid} ended with exit code {exit_code} after SIGTERM", exit_code
            )

    def send_signal(self, signum: signal.Signals) -> None:
        """Send the process a signal; does nothing if it has already ended."""
        process = self._started()
        if process.returncode is None:
            # `Process.send_signal` polls first, which takes the exit code away from asyncio if the process has just ended.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signum)

    async def wait_ended(self, within: float = 5.0) -> int:
        """Wait until the process has ended, and return its exit code.

        Args:
            within: how many seconds to wait.

        Raises:
            TargetError: it was not started, or did not end in time.
        """
        self._started()
        assert self._watch is not None  # noqa: S101 - set together with the process
        done, _ = await asyncio.wait({self._watch}, timeout=within)
        if not done:
            raise TargetError(f"gateway process {self.pid} still runs after {within:g} s")
        return self._watch.result()

    async def kill(self) -> None:
        """Kill the process (SIGKILL) and wait for its end; does nothing if it has already ended."""
        if self._watch is None or self._watch.done():
            return
        self.send_signal(signal.SIGKILL)
        await asyncio.wait({self._watch})

    def _started(self) -> Process:
        if self._process is None:
            raise TargetError("this gateway was not started. Call `await target.start()` first")
        return self._process

    async def _wait_started(self, *, until_ready: bool) -> None:
        try:
            url = await self._wait_until_listening()
        except TargetError:
            if self.exit_code is None:
                raise TargetError(f"it did not listen within {self._start_seconds:g} s") from None
            raise TargetError(f"it ended with exit code {self.exit_code} before it listened") from None
        if not until_ready:
            return
        assert self._watch is not None  # noqa: S101 - set together with the process
        ready = asyncio.create_task(wait_until_ready(url, self._start_seconds))
        try:
            await asyncio.wait({ready, self._watch}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise TargetError(f"it ended with exit code {self.exit_code} before it was ready")
            await ready
        finally:
            ready.cancel()
            await asyncio.gather(ready, return_exceptions=True)

    def _resolve_command(self) -> Sequence[str]:
        if self._command is not None:
            return self._command
        if importlib.util.find_spec(GATEWAY_MODULE) is None:
            raise TargetError(NOT_INSTALLED)
        return (sys.executable, "-m", GATEWAY_MODULE, "serve")

    async def _follow(self, transport: asyncio.SubprocessTransport, protocol: _ExitProtocol) -> int:
        """Read both pipes until the process has ended, then end the log; return the exit code."""
        assert protocol.stdout is not None  # noqa: S101 - a pipe
        assert protocol.stderr is not None  # noqa: S101 - a pipe
        readers = [
            asyncio.create_task(self._collect(protocol.stdout)),
            asyncio.create_task(self._collect(protocol.stderr)),
        ]
        await protocol.ended.wait()
        exit_code = transport.get_returncode()
        assert exit_code is not None  # noqa: S101 - it has ended
        kill_group(self.pid)
        await asyncio.wait(readers, timeout=PIPE_SECONDS)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        transport.close()
        self._log.end(f"the gateway's process ended with exit code {exit_code}")
        return exit_code

    async def _collect(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # the line is over the limit, and asyncio has dropped it
                self._log.write(f"[a line of more than {LINE_BYTES} bytes was dropped here]")
                continue
            if not line:
                return
            self._log.write(line.decode("utf-8", "backslashreplace").rstrip("\r\n"))


def kill_group(leader: int) -> None:
    """Kill what a process has left behind; it was started in a session of its own, and its children are in its group.

    Args:
        leader: the id of the process, which has ended.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a gateway process: `settings`, and those variables of this process in `PASSED_ON`."""
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed_on, "PYTHONUNBUFFERED": "1", **settings}
