"""A gateway's image as a target, so that the same tests run against what is deployed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping

from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container

from memmie_harness.containers import ContainerError, GatewayContainer, ServiceContainer
from memmie_harness.containers.gateway import IMAGE
from memmie_harness.targets.errors import TargetError
from memmie_harness.targets.external import ExternalTarget
from memmie_harness.targets.readiness import wait_until_ready


class ContainerTarget(ExternalTarget):
    """A gateway in a container that shares this machine's network, so that it reaches fakes on loopback.

    The fakes thus stay Python objects of the test. The engine must run on this machine's kernel.

    Args:
        environment: the gateway's settings (spec §7). It needs `LOG_FORMAT=json`, and `PORT=0` so that runs do not
            collide.
        image: the gateway's image.
        container: the container, not yet started, if it is not that of this gateway; it uses this machine's network.
        start_seconds: how long it may take to listen, and again to become ready.
        stop_seconds: how long it may take to end after SIGTERM before it is killed.

    Raises:
        TargetError: no Docker engine answers.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        image: str = IMAGE,
        container: ServiceContainer | None = None,
        start_seconds: float = 20.0,
        stop_seconds: float = 5.0,
    ) -> None:
        super().__init__(start_seconds, stop_seconds)
        self._image = image
        if container is None:
            try:
                container = GatewayContainer(image).with_settings(environment).with_host_network()
            except ContainerError as error:
                raise TargetError(str(error)) from None
        self._container = container.without_waiting()
        self._ended: asyncio.Future[int] | None = None

    def __repr__(self) -> str:
        """Show image and address, but not the environment, which may contain secrets."""
        return f"<ContainerTarget {self._image} url={self._url}>"

    @property
    def exit_code(self) -> int | None:
        """The gateway's exit code; `None` while it runs or before it is started."""
        return self._ended.result() if self._ended is not None and self._ended.done() else None

    async def start(self, *, until_ready: bool = True) -> None:
        """See `Target.start`; a target can be started only once."""
        if self._ended is not None:
            raise TargetError("this gateway was already started. Make a new target")
        starting = asyncio.ensure_future(asyncio.to_thread(self._container.start))
        try:
            await asyncio.shield(starting)
            self._follow()
            await self._wait_started(until_ready=until_ready)
        except (TargetError, ContainerError) as error:
            exit_code = self.exit_code
            await self.kill()
            raise self._failure(f"the gateway did not start: {error}", exit_code) from None
        except BaseException:  # such as a cancellation, after which the caller does not call stop()
            await asyncio.wait({starting})
            await self.kill()
            raise

    async def stop(self) -> None:
        """Send SIGTERM, wait and remove the container; see `Target.stop`.

        Raises:
            TargetError: the gateway had to be killed, or its exit code was not 0.
        """
        exit_code = await self._stop(signal.SIGTERM)
        if exit_code is None:
            raise self._failure(
                f"{self!r} was killed, because it did not end within {self._stop_seconds:g} s after SIGTERM"
            )
        if exit_code != 0:
            raise self._failure(f"the gateway ended with exit code {exit_code} after SIGTERM", exit_code)

    async def _stop(self, signum: signal.Signals) -> int | None:
        """Send a signal, wait, and remove the container.

        Returns:
            the exit code; 0 if the gateway had ended before, and None if it had to be killed.
        """
        if self._ended is None or self._ended.done():
            await self.kill()
            return 0
        self.send_signal(signum)
        try:
            return await self.wait_ended(self._stop_seconds)
        except TargetError:
            return None
        finally:
            await self.kill()

    def send_signal(self, signum: signal.Signals) -> None:
        """Send the gateway a signal; does nothing if it has already ended."""
        if self._ended is not None and not self._ended.done():
            with contextlib.suppress(APIError):  # it has just ended
                self._container.get_wrapped_container().kill(signum)

    async def wait_ended(self, within: float = 5.0) -> int:
        """Wait until the gateway has ended, and return its exit code.

        Args:
            within: how many seconds to wait.

        Raises:
            TargetError: it was not started, or did not end in time.
        """
        if self._ended is None:
            raise TargetError("this gateway was not started. Call `await target.start()` first")
        done, _ = await asyncio.wait({self._ended}, timeout=within)
        if not done:
            raise TargetError(f"{self!r} still runs after {within:g} s")
        return self._ended.result()

    async def kill(self) -> None:
        """Kill the gateway and remove its container; does nothing if that is done already."""
        if self._ended is not None:
            self.send_signal(signal.SIGKILL)
            await asyncio.wait({self._ended})
        await asyncio.to_thread(self._container.stop)

    async def _wait_started(self, *, until_ready: bool) -> None:
        url = await self._wait_until_listening()
        if until_ready:
            await wait_until_ready(url, self._start_seconds)

    def _follow(self) -> None:
        """Read the log until the gateway has ended; on a thread, because the engine's client blocks."""
        loop = asyncio.get_running_loop()
        ended = self._ended = loop.create_future()
        container = self._container.get_wrapped_container()

        def follow() -> None:
            for line in _lines(container):
                loop.call_soon_threadsafe(self._log.write, line)
            exit_code = _exit_code(container)
            loop.call_soon_threadsafe(
                self._log.end, f"the gateway's container ended with exit code {exit_code}"
            )
            loop.call_soon_threadsafe(ended.set_result, exit_code)

        threading.Thread(target=follow, name=f"log of {container.name}", daemon=True).start()


def _lines(container: Container) -> Iterator[str]:
    """Yield the lines that a container writes, until it has ended."""
    begun = b""
    with contextlib.suppress(DockerException):
        for chunk in container.logs(stream=True, follow=True):
            *lines, begun = (begun + chunk).split(b"\n")
            yield from (line.decode("utf-8", "backslashreplace").rstrip("\r") for line in lines)


def _exit_code(container: Container) -> int:
    """Wait until a container has ended and return its exit code, or -1 if it was removed meanwhile."""
    try:
        return int(container.wait()["StatusCode"])
    except NotFound:
        return -1
