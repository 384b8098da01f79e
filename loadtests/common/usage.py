"""What processes have used so far, as the kernel counts it."""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil

from loadtests.common.errors import ProcessGoneError


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU seconds, user and system, of all threads of some processes since they started.

    They come from the processes' CPU clocks, to the nanosecond: `/proc/PID/stat` counts in steps of 10 ms, too coarse
    for a few hundred connects, and `/proc/PID/schedstat` counts one thread only.

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
    """Return the open files of the process that has the most, and its limit; (0, 0) for no process.

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


def family(pid: int) -> tuple[int, ...]:
    """Return a process and everything it started.

    Raises:
        ProcessGoneError: it has ended.
    """
    try:
        return (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True)))
    except psutil.NoSuchProcess:
        raise _gone(pid) from None


def _gone(pid: int) -> ProcessGoneError:
    return ProcessGoneError(f"process {pid} ended while it was measured")
