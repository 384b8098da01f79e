"""A gateway as a process of its own: what tests speak to by default."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from asyncio.subprocess import Process, SubprocessStreamProtocol
from typing import TYPE_CHECKING

from memmie_harness.targets.installed import NOT_INSTALLED
from memmie_harness.targets.logged import LoggedTarget
from memmie_harness.targets.readiness import wait_until_ready
from memmie_harness.targets.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GATEWAY_MODULE = "memmie_gateway"

PASSED_ON = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "SYSTEMROOT", "TMPDIR", "TZ")
"""All that a gateway gets of the caller's environment: without these an interpreter may not even start.

Anything else (a ``PORT`` from a container platform, a proxy setting) would make tests depend on the machine.
"""

LINE_BYTES = 1024 * 1024
"""A longer line of output is dropped and a note entered in its place."""

PIPE_SECONDS = 1.0
"""After the process has ended its pipes must end too; a grandchild that holds them is not waited for longer."""


class _Life(SubprocessStreamProtocol):
    """Tells when the process has ended; asyncio's own `Process.wait` goes on until nobody holds its pipes, either."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit, loop)
        self.ended = asyncio.Event()

    def process_exited(self) -> None:
        """It has ended."""
        super().process_exited()
        self.ended.set()


class ProcessTarget(LoggedTarget):
    """A gateway process that this object starts on any free port and stops.

    Its output is read all the time, also while a test does something else, so it never blocks on a full pipe.

    Args:
        environment: The gateway's settings (spec §7). It needs ``LOG_FORMAT=json`` and, so that runs do not
            collide, ``PORT=0``.
        command: What to run; by default this interpreter's ``python -m memmie_gateway serve``. Any program
            will do that writes one line of JSON ``{"event": "listening", "url": …}`` when it listens.
        start_seconds: How long it may take to listen, and again to become ready.
        stop_seconds: How long after SIGTERM it may live before it is killed.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        command: Sequence[str] | None = None,
        start_seconds: float = 10.0,
        stop_seconds: float = 5.0,
    ) -> None:
        super().__init__(start_seconds)
        self._environment = dict(environment)
        self._command = command
        self._stop_seconds = stop_seconds
        self._process: Process | None = None
        self._watch: asyncio.Task[int] | None = None
        self._url: str | None = None

    def __repr__(self) -> str:
        """Name the process and its address; the environment may hold secrets."""
        return f"<ProcessTarget pid={self._process.pid if self._process else None} url={self._url}>"

    @property
    def url(self) -> str:
        """The HTTP address the process reported."""
        if self._url is None:
            raise TargetError("this gateway has no address yet: await target.start() first")
        return self._url

    @property
    def pid(self) -> int:
        """The process id, for psutil and for signals.

        Raises:
            TargetError: It was not started.
        """
        return self._started().pid

    @property
    def exit_code(self) -> int | None:
        """What the process ended with, negative for a signal; ``None`` while it runs or before a start."""
        return self._process.returncode if self._process else None

    async def start(self, *, until_ready: bool = True) -> None:
        """See `Target.start`; one target is one process, so this works once.

        Raises:
            TargetError: Besides `Target.start`'s reasons, no gateway is installed here. The message ends with
                the last lines the process wrote.
        """
        if self._process is not None:
            raise TargetError(f"this gateway was started before, as process {self.pid}: make another target")
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            lambda: _Life(LINE_BYTES, loop),
            *self._resolve_command(),
            env=clean_environment(self._environment),
            stdin=asyncio.subprocess.DEVNULL,
            # A Ctrl-C at the terminal is for pytest; the gateway is stopped by the teardown, in order.
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
        except BaseException:  # cancelled: the caller will not call stop()
            await self.kill()
            raise

    async def stop(self) -> None:
        """Send SIGTERM and wait; see `Target.stop`.

        Raises:
            TargetError: It had to be killed, or ended with another code than 0 on SIGTERM.
        """
        if self._watch is None or self._watch.done():
            return
        pid = self.pid
        self.send_signal(signal.SIGTERM)
        try:
            exit_code = await self.wait_ended(self._stop_seconds)
        except TargetError as error:
            await self.kill()
            raise self._failure(f"{error} of SIGTERM, so it was killed") from None
        if exit_code != 0:
            raise self._failure(
                f"gateway process {pid} ended with exit code {exit_code} on SIGTERM", exit_code
            )

    def send_signal(self, signum: signal.Signals) -> None:
        """Send the process a signal; nothing happens if it has already ended."""
        process = self._started()
        if process.returncode is None:
            process.send_signal(signum)

    async def wait_ended(self, within: float = 5.0) -> int:
        """Wait until the process has ended by itself or by a signal, and return its exit code.

        Raises:
            TargetError: It still ran after that many seconds.
        """
        self._started()
        assert self._watch is not None  # noqa: S101 - set together with the process
        done, _ = await asyncio.wait({self._watch}, timeout=within)
        if not done:
            raise TargetError(f"gateway process {self.pid} still runs after {within:g} s")
        return self._watch.result()

    async def kill(self) -> None:
        """End the process at once (SIGKILL) and wait until nothing of it is left; safe to call twice."""
        if self._watch is None or self._watch.done():
            return
        self.send_signal(signal.SIGKILL)
        await asyncio.wait({self._watch})

    def _started(self) -> Process:
        if self._process is None:
            raise TargetError("this gateway was not started: await target.start() first")
        return self._process

    def _failure(self, what: str, exit_code: int | None = None) -> TargetError:
        return TargetError(
            f"{what}\nThe last lines it wrote:\n{self.log_tail(20) or '(nothing)'}", exit_code=exit_code
        )

    async def _wait_started(self, *, until_ready: bool) -> None:
        try:
            self._url = await self._announced_url()
        except TargetError:
            if self.exit_code is None:
                raise TargetError(f"it did not listen within {self._start_seconds:g} s") from None
            raise TargetError(f"it ended with exit code {self.exit_code} before it listened") from None
        if not until_ready:
            return
        assert self._watch is not None  # noqa: S101 - set together with the process
        ready = asyncio.create_task(wait_until_ready(self._url, self._start_seconds))
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

    async def _follow(self, transport: asyncio.SubprocessTransport, life: _Life) -> int:
        """Read both pipes until they end, then enter the end in the log; one task owns all of it."""
        assert life.stdout is not None  # noqa: S101 - a pipe
        assert life.stderr is not None  # noqa: S101 - a pipe
        readers = [
            asyncio.create_task(self._collect(life.stdout)),
            asyncio.create_task(self._collect(life.stderr)),
        ]
        await life.ended.wait()
        exit_code = transport.get_returncode()
        assert exit_code is not None  # noqa: S101 - it has ended
        await asyncio.wait(readers, timeout=PIPE_SECONDS)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        transport.close()
        self._log.end(f"its process ended with exit code {exit_code}")
        return exit_code

    async def _collect(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # asyncio's word for a line over the limit, which it has thrown away
                self._log.write(f"[a line of more than {LINE_BYTES} bytes was dropped here]")
                continue
            if not line:
                return
            self._log.write(line.decode("utf-8", "backslashreplace").rstrip("\r\n"))


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a gateway process: `settings`, and of this process's own only `PASSED_ON`."""
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed_on, "PYTHONUNBUFFERED": "1", **settings}
