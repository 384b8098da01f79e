"""What processes have used so far, as the kernel counts it."""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil


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
        raise ProcessGoneError(f"process {pid} has ended while it was measured") from None


def rss_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of some processes in bytes.

    Raises:
        ProcessGoneError: one of them has ended.
    """
    try:
        return sum(int(psutil.Process(pid).memory_info().rss) for pid in pids)
    except psutil.NoSuchProcess as error:
        raise ProcessGoneError(f"process {error.pid} has ended while it was measured") from None
