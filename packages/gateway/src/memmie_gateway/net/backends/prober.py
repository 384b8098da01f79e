"""Active health checks: open a WebSocket to the health URL of each backend, send a ping, wait for the pong (spec §3)."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from dataclasses import dataclass

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from memmie_gateway.core.health import next_probe
from memmie_gateway.core.steps import ready
from memmie_gateway.net.backends.backend import Backend, BackendUrl
from memmie_gateway.net.http1.exhaustion import ExhaustionError, raise_exhaustion
from memmie_gateway.net.http1.happy_eyeballs import first_to_answer
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.system_errors import words_of


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """The times of health checks.

    Attributes:
        interval: seconds between probes of a healthy backend.
        recovery_interval: seconds between probes of any other backend, and of a healthy one after a failure.
        timeout: maximum time in seconds for a probe.
    """

    interval: float
    recovery_interval: float
    timeout: float


class ProbeError(Exception):
    """A probe failed; the message says why."""


async def probe(where: BackendUrl, timeout: float, resolver: Resolver) -> float:  # noqa: ASYNC109 - a time-out raises ProbeError
    """Connect to a backend's health URL, ping it, and return the seconds until its pong.

    Args:
        where: the URL of the backend.
        timeout: maximum time in seconds for everything.
        resolver: looks up the host name.

    Raises:
        ProbeError: no pong within `timeout` seconds, or no connection.
        ExhaustionError: a local resource is exhausted.
    """
    try:
        async with asyncio.timeout(timeout):
            addresses = await ready(resolver.addresses(where))
            return await _ping(where, await first_to_answer(where, addresses))
    except TimeoutError:
        raise ProbeError(f"no pong within {timeout:g} seconds") from None
    except (OSError, WebSocketException, EOFError) as error:
        if isinstance(error, OSError):
            raise_exhaustion(error)
        words = words_of(error) if isinstance(error, OSError) else error
        raise ProbeError(f"the health check failed ({words})") from None
    except Exception as error:  # noqa: BLE001 - see below
        # Such as a redirect to an invalid URL: nothing that a backend sends may end its health checks.
        raise ProbeError(f"the health check failed: {type(error).__name__}: {error}") from None


async def _ping(where: BackendUrl, sock: socket.socket) -> float:
    async with connect(
        where.health_url,
        sock=sock,
        ping_interval=None,
        compression=None,
        proxy=None,
        close_timeout=0.2,
    ) as health:
        started = time.perf_counter()
        await (await health.ping())
        return time.perf_counter() - started


class Prober:
    """Keeps the health of backends up to date, with one task for each.

    Args:
        options: the times of probes.
        resolver: looks up host names.
        rng: shifts the probes randomly.
    """

    def __init__(self, options: ProbeOptions, resolver: Resolver, rng: random.Random) -> None:
        self._options = options
        self._resolver = resolver
        self._rng = rng
        self._tasks: dict[Backend, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<Prober backends={len(self._tasks)}>"

    def watch(self, backend: Backend) -> None:
        """Start to probe a backend, with the first probe immediately."""
        doubted = asyncio.Event()
        backend.on_doubt = doubted.set
        self._tasks[backend] = asyncio.create_task(self._watch(backend, doubted))

    def forget(self, backend: Backend) -> None:
        """Stop probing a backend."""
        backend.on_doubt = _nothing
        self._tasks.pop(backend).cancel()

    async def stop(self) -> None:
        """Stop probing all backends."""
        tasks = list(self._tasks.values())
        for backend in list(self._tasks):
            self.forget(backend)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, backend: Backend, doubted: asyncio.Event) -> None:
        options = self._options
        while True:
            doubted.clear()
            try:
                await probe(backend.where, options.timeout, self._resolver)
            except ProbeError as error:
                backend.failed_check(str(error))
            except ExhaustionError:
                pass  # this says nothing about the backend
            else:
                backend.passed()
            delay = next_probe(
                backend.tracker,
                interval=options.interval,
                recovery_interval=options.recovery_interval,
                spread=self._rng.uniform(-1, 1),
            )
            try:
                async with asyncio.timeout(delay):
                    await doubted.wait()
            except TimeoutError:
                continue


def _nothing() -> None:
    """Do nothing; the callback of a backend that is not probed."""
