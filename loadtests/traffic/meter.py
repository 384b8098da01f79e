"""What a stretch of time cost everybody who took part in it."""

from __future__ import annotations

import time

from loadtests.common.usage import cpu_seconds
from loadtests.traffic.job import Target
from loadtests.traffic.results import Span


class Meter:
    """Measures the cost of a stretch of time.

    Args:
        target: whose processes are measured.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._last = self._read()

    def lap(self) -> Span:
        """Return the cost since the last call, or since the beginning.

        Raises:
            ProcessGoneError: a process has ended.
        """
        before, self._last = self._last, self._read()
        return Span(*(now - then for now, then in zip(self._last, before, strict=True)))

    def _read(self) -> tuple[float, float, float, float, float]:
        target = self._target
        return (
            time.perf_counter(),
            cpu_seconds(target.gateway_pids),
            cpu_seconds(target.backend_pids),
            cpu_seconds(target.auth_pids),
            time.process_time(),
        )
