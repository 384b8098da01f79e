"""Active health checks: one task for each backend checks it at intervals, and at once when it is in doubt (spec §3)."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass

from memmie_gateway.core.backends.health import next_probe
from memmie_gateway.net import clock
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.backends.health_check import HealthCheck, Kind, ProbeError
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_gateway.net.http1.resolver import Resolver


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """When and how backends are checked.

    Attributes:
        interval: seconds between probes of a healthy backend.
        recovery_interval: seconds between probes of any other backend, and of a healthy one after a failure.
        check: one health check.
    """

    interval: float
    recovery_interval: float
    check: HealthCheck


class Prober:
    """Keeps the health of backends up to date, with one task for each.

    Args:
        options: when and how backends are checked.
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

        def doubt() -> None:
            self._resolver.doubt(backend.where)  # perhaps it has restarted at another address
            doubted.set()

        backend.on_doubt = doubt
        backend.checked_at = self._options.check.shown(backend.where)
        watch = self._watch_unchecked if self._options.check.kind is Kind.OFF else self._watch
        self._tasks[backend] = asyncio.create_task(watch(backend, doubted))

    def forget(self, backend: Backend) -> None:
        """Stop probing a backend."""
        backend.on_doubt = _nothing
        self._tasks.pop(backend).cancel()
        if all(other.where.host != backend.where.host for other in self._tasks):
            self._resolver.forget(backend.where)

    async def stop(self) -> None:
        """Stop probing all backends."""
        tasks = list(self._tasks.values())
        for backend in list(self._tasks):
            self.forget(backend)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, backend: Backend, doubted: asyncio.Event) -> None:
        options, loop = self._options, asyncio.get_running_loop()
        while True:
            doubted.clear()
            began, pauses = loop.time(), clock.pauses()
            try:
                await options.check.probe(backend.where, self._resolver)
            except ProbeError as error:
                if clock.pauses() != pauses:
                    continue  # the gateway itself was stopped, so this says nothing about the backend
                backend.failed_check(str(error), began)
            except ExhaustionError:
                pass  # this says nothing about the backend
            else:
                backend.passed(began)
            delay = next_probe(
                backend.tracker,
                interval=options.interval,
                recovery_interval=options.recovery_interval,
                spread=self._rng.uniform(-1, 1),
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await doubted.wait()

    async def _watch_unchecked(self, backend: Backend, doubted: asyncio.Event) -> None:
        """Without health checks, a backend is healthy until dials fail, and is tried again after a while."""
        while True:
            while not backend.healthy:
                backend.passed(asyncio.get_running_loop().time())
            doubted.clear()
            await doubted.wait()
            backend.tracker.looked()  # nobody else does, so each failure counts
            if not backend.available:
                await asyncio.sleep(self._options.recovery_interval)


def _nothing() -> None:
    """Do nothing; the callback of a backend that is not probed."""
