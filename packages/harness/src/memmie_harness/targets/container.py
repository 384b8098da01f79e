"""A gateway's image as a target: the tests that speak to a process by default speak to what is deployed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from typing import TYPE_CHECKING

from docker.errors import APIError, DockerException, NotFound

from memmie_harness.containers import ContainerError, GatewayContainer
from memmie_harness.containers.gateway import IMAGE
from memmie_harness.targets.logged import LoggedTarget
from memmie_harness.targets.readiness import wait_until_ready
from memmie_harness.targets.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker.models.containers import Container


class ContainerTarget(LoggedTarget):
    """A gateway container on this machine's own network, so that it reaches what a test runs on loopback.

    Sharing the network makes it the very same stack as with a process: the fakes stay Python objects. It needs an
    engine that runs on this machine's kernel.

    Args:
        environment: The gateway's settings (spec §7). It needs ``LOG_FORMAT=json`` and, so that runs do not
            collide, ``PORT=0``.
        image: The gateway's image.
        start_seconds: How long it may take to listen, and again to become ready.
        stop_seconds: How long after SIGTERM it may live before it is killed.

    Raises:
        TargetError: No Docker engine answers.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        image: str = IMAGE,
        start_seconds: float = 20.0,
        stop_seconds: float = 5.0,
    ) -> None:
        super().__init__(start_seconds)
        self._image = image
        self._url: str | None = None
        try:
            container = GatewayContainer(image)
        except ContainerError as error:
            raise TargetError(str(error)) from None
        self._container = container.with_settings(environment).with_host_network().without_waiting()
        self._stop_seconds = stop_seconds
        self._ended: asyncio.Future[int] | None = None

    def __repr__(self) -> str:
        """Name image and address; the environment may hold secrets."""
        return f"<ContainerTarget {self._image} url={self._url}>"

    @property
    def url(self) -> str:
        """The HTTP address the gateway reported."""
        if self._url is None:
            raise TargetError("this gateway has no address yet: await target.start() first")
        return self._url

    @property
    def exit_code(self) -> int | None:
        """What the gateway ended with; ``None`` while it runs or before a start."""
        return self._ended.result() if self._ended is not None and self._ended.done() else None

    async def start(self, *, until_ready: bool = True) -> None:
        """See `Target.start`; one target is one container, so this works once."""
        if self._ended is not None:
            raise TargetError("this gateway was started before: make another target")
        starting = asyncio.ensure_future(asyncio.to_thread(self._container.start))
        try:
            await asyncio.shield(starting)
            self._follow()
            await self._wait_started(until_ready=until_ready)
        except (TargetError, ContainerError) as error:
            exit_code = self.exit_code
            await self.kill()
            raise TargetError(
                f"the gateway did not start: {error}\nThe last lines it wrote:\n{self.log_tail(20) or '(nothing)'}",
                exit_code=exit_code,
            ) from None
        except BaseException:  # cancelled: the caller will not call stop()
            await asyncio.wait({starting})
            await self.kill()
            raise

    async def stop(self) -> None:
        """Send SIGTERM, wait, remove the container; see `Target.stop`.

        Raises:
            TargetError: It had to be killed, or ended with another code than 0 on SIGTERM.
        """
        if self._ended is None or self._ended.done():
            await self.kill()
            return
        self.send_signal(signal.SIGTERM)
        try:
            exit_code = await self.wait_ended(self._stop_seconds)
        finally:
            await self.kill()
        if exit_code != 0:
            raise TargetError(
                f"the gateway ended with exit code {exit_code} on SIGTERM\n{self.log_tail(20)}",
                exit_code=exit_code,
            )

    def send_signal(self, signum: signal.Signals) -> None:
        """Send the gateway a signal; nothing happens if it has already ended."""
        if self._ended is not None and not self._ended.done():
            with contextlib.suppress(APIError):  # it has just ended by itself
                self._container.get_wrapped_container().kill(signum)

    async def wait_ended(self, within: float = 5.0) -> int:
        """Wait until the gateway has ended by itself or by a signal, and return its exit code.

        Raises:
            TargetError: It was not started, or still ran after that many seconds.
        """
        if self._ended is None:
            raise TargetError("this gateway was not started: await target.start() first")
        done, _ = await asyncio.wait({self._ended}, timeout=within)
        if not done:
            raise TargetError(f"{self!r} still runs after {within:g} s")
        return self._ended.result()

    async def kill(self) -> None:
        """End the gateway at once and remove its container; safe to call twice."""
        if self._ended is not None:
            self.send_signal(signal.SIGKILL)
            await asyncio.wait({self._ended})
        await asyncio.to_thread(self._container.stop)

    async def _wait_started(self, *, until_ready: bool) -> None:
        self._url = await self._announced_url()
        if until_ready:
            await wait_until_ready(self._url, self._start_seconds)

    def _follow(self) -> None:
        """Read the log on a thread of its own, as the engine's client blocks, until the gateway has ended."""
        loop = asyncio.get_running_loop()
        ended = self._ended = loop.create_future()
        container = self._container.get_wrapped_container()

        def follow() -> None:
            for line in _lines(container):
                loop.call_soon_threadsafe(self._log.write, line)
            exit_code = _exit_code(container)
            loop.call_soon_threadsafe(self._log.end, f"its container ended with exit code {exit_code}")
            loop.call_soon_threadsafe(ended.set_result, exit_code)

        threading.Thread(target=follow, name=f"log of {container.name}", daemon=True).start()


def _lines(container: Container) -> Iterator[str]:
    """Yield what a container writes, line by line, until it ends."""
    begun = b""
    with contextlib.suppress(DockerException):
        for chunk in container.logs(stream=True, follow=True):
            *lines, begun = (begun + chunk).split(b"\n")
            yield from (line.decode("utf-8", "backslashreplace").rstrip("\r") for line in lines)


def _exit_code(container: Container) -> int:
    """Wait for a container's end; an unknown code is -1, of one that someone else removed."""
    try:
        return int(container.wait()["StatusCode"])
    except NotFound:
        return -1
