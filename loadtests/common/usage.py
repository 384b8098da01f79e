"""What processes have used so far, as the kernel counts it; a ProcessGoneError, if one of them has ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator

import psutil

from loadtests.common.errors import ProcessGoneError


@contextlib.contextmanager
def _known() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess as error:
        raise ProcessGoneError(f"process {error.pid} ended while it was measured") from None


@_known()
def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU seconds, user and system, of all threads of some processes since they started.

    They come from the processes' CPU clocks, in nanoseconds. The scheduler counts these together with
    `/proc/PID/task/*/schedstat`, which lacks the threads that have ended. `/proc/PID/stat` counts in steps of 10 ms, too
    coarse for a few hundred connects, and `/proc/PID/schedstat` counts one thread only.
    """
    return sum(map(_cpu_seconds, pids))


def _cpu_seconds(pid: int) -> float:
    try:
        # What glibc's clock_getcpuclockid(3) computes; Python has no function for it.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        raise psutil.NoSuchProcess(pid) from None


@_known()
def rss_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of some processes in bytes."""
    return sum(int(psutil.Process(pid).memory_info().rss) for pid in pids)


@_known()
def open_files(pids: Iterable[int]) -> tuple[int, int]:
    """Return the open files of the process that has the most, and its limit; (0, 0) for no process."""
    found = map(psutil.Process, pids)
    return max(((each.num_fds(), each.rlimit(psutil.RLIMIT_NOFILE)[0]) for each in found), default=(0, 0))


@_known()
def family(pid: int) -> tuple[int, ...]:
    """Return a process and everything it started."""
    return (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True)))
