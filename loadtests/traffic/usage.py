"""What processes have used so far, as the kernel counts it."""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil

from loadtests.traffic.job import Target
from loadtests.traffic.results import Span


class ProcessGoneError(Exception):
    """A process that was to be measured has ended."""


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU seconds, user and system, of all threads of some processes since they were started.

    Read from the processes' CPU clocks (clock_getcpuclockid(3)), to the nanosecond: `/proc/PID/stat` counts in
    steps of 10 ms, too coarse for a few hundred connects.

    Raises:
        ProcessGoneError: one of them has ended.
    """
    return sum(map(_cpu_seconds, pids))


def _cpu_seconds(pid: int) -> float:
    # What glibc's clock_getcpuclockid(3) computes; Python has no function for it.
    clock_id = (~pid << 3) | 2
    try:
        return time.clock_gettime(clock_id)
    except OSError:
        raise _gone(pid) from None


def rss_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of some processes in bytes.

    Raises:
        ProcessGoneError: one of them has ended.
    """
    try:
        return sum(int(psutil.Process(pid).memory_info().rss) for pid in pids)
    except psutil.NoSuchProcess as error:
        raise _gone(error.pid) from None


def open_files(pids: Iterable[int]) -> tuple[int, int]:
    """Return how many files that process has open which has the most, and how many it may have; (0, 0) for no process.

    Raises:
        ProcessGoneError: one of them has ended.
    """
    try:
        processes = [psutil.Process(pid) for pid in pids]
        return max(
            ((process.num_fds(), process.rlimit(psutil.RLIMIT_NOFILE)[0]) for process in processes),
            default=(0, 0),
        )
    except psutil.NoSuchProcess as error:
        raise _gone(error.pid) from None


def _gone(pid: int) -> ProcessGoneError:
    return ProcessGoneError(f"process {pid} has ended while it was measured")


class Meter:
    """Tells what a stretch of time cost everybody who takes part.

    Args:
        target: whose processes are measured.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._last = self._read()

    def lap(self) -> Span:
        """Return what it cost since the last call, or since the beginning.

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
