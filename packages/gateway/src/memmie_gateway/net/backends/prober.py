"""Active health: a WebSocket to each Studio's health URL, a ping, its pong in time (spec §3)."""

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


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """When Studios are probed.

    Attributes:
        interval: seconds between probes of a healthy Studio.
        recovery_interval: seconds between probes of one that is not, or that has just failed.
        timeout: seconds for the whole probe.
    """

    interval: float
    recovery_interval: float
    timeout: float


class ProbeError(Exception):
    """A probe failed; the message says at what."""


async def probe(where: BackendUrl, timeout: float, names: Resolver) -> float:  # noqa: ASYNC109 - it ends with an error of its own
    """Connect to a Studio's health URL, ping it, and return the seconds its pong took.

    Args:
        where: the Studio.
        timeout: seconds for all of it.
        names: looks its name up.

    Raises:
        ProbeError: no pong within `timeout` seconds, or no connection.
        ExhaustionError: the gateway itself cannot connect to anything.
    """
    try:
        async with asyncio.timeout(timeout):
            addresses = await ready(names.addresses(where))
            return await _ping(where, await first_to_answer(where, addresses))
    except TimeoutError:
        raise ProbeError(f"no pong within {timeout:g} seconds") from None
    except (OSError, WebSocketException, EOFError) as error:
        if isinstance(error, OSError):
            raise_exhaustion(error)
        raise ProbeError(f"no health connection: {error}") from None
    except Exception as error:  # noqa: BLE001 - see below
        # Such as a redirect to what is no URL: nothing that a Studio sends may end the watching of it.
        raise ProbeError(f"no health connection: {type(error).__name__}: {error}") from None


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
    """Keeps every Studio's health up to date, one task each.

    Args:
        options: when.
        rng: spreads the probes.
        resolver: looks their names up.
    """

    def __init__(self, options: ProbeOptions, rng: random.Random, resolver: Resolver) -> None:
        self._options = options
        self._rng = rng
        self._names = resolver
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<Prober studios={len(self._tasks)}>"

    def watch(self, backend: Backend) -> None:
        """Probe `studio` now and from now on."""
        doubted = asyncio.Event()
        backend.on_doubt = doubted.set
        self._tasks[backend.url] = asyncio.create_task(self._watch(backend, doubted))

    async def stop(self) -> None:
        """Stop probing."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _watch(self, backend: Backend, doubted: asyncio.Event) -> None:
        options = self._options
        while True:
            doubted.clear()
            try:
                await probe(backend.where, options.timeout, self._names)
            except ProbeError as error:
                backend.failed(str(error), doubt=False)
            except ExhaustionError:
                pass  # which says nothing of the Studio
            else:
                backend.worked()
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
