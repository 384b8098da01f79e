"""What processes use from second to second."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import Final

from loadtests.common.errors import ProcessGoneError
from loadtests.common.run import Second
from loadtests.common.usage import cpu_seconds, rss_bytes
from loadtests.runs.recorder import CONNECTIONS, Histogram, Recorder

CLIENT_CPU: Final = "client CPU"
BUSIEST: Final = "client CPU, busiest second"
LATE: Final = "client delay, maximum"
CLIENT_FIGURES: Final = {CLIENT_CPU: "share", BUSIEST: "share", LATE: "s"}
"""Figures of the load itself, which every run has, and their units."""

CLIENT_SECONDS: Final = "client seconds"
"""A recorder's total: how long its process was watched; with several workers, all of them together."""


def each_second() -> Iterator[float]:
    """Wait for the next second again and again; the values are the seconds that it took."""
    last = time.monotonic()
    while True:
        time.sleep(max(0.0, last + 1 - time.monotonic()))  # which Locust has made one greenlet's own
        now = time.monotonic()
        yield now - last
        last = now


class Usage:
    """CPU and memory of some processes."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._cpu_seconds = dict.fromkeys(pids, 0.0)
        self.since_last()

    def since_last(self) -> tuple[float, int] | None:
        """Return the CPU seconds since the last call, and the resident bytes now; None if none of them runs."""
        seconds, resident, seen = 0.0, 0, False
        for pid, before in self._cpu_seconds.items():
            with contextlib.suppress(ProcessGoneError):
                resident += rss_bytes([pid])
                now = cpu_seconds([pid])
                seconds += now - before
                self._cpu_seconds[pid] = now
                seen = True
        return (seconds, resident) if seen else None


def watch_client(recorder: Recorder) -> None:
    """Note in this process's recorder, every second, how busy the process is, and how late."""
    usage = Usage([os.getpid()])
    for passed in each_second():
        used = usage.since_last()
        if recorder.measuring:
            recorder.greatest(LATE, passed - 1)  # a second was due
        if used is not None:
            recorder.totals[CLIENT_CPU] += used[0]
            recorder.totals[CLIENT_SECONDS] += passed
            recorder.greatest(BUSIEST, used[0] / passed)


class Timeline:
    """The run second by second, with the usage of the gateway's processes, if they can be seen from here."""

    def __init__(self, gateway_pids: Sequence[int]) -> None:
        self.seconds: list[Second] = []
        self._gateway = Usage(gateway_pids)
        self._through = Histogram()
        self._failed = 0

    def look(self, recorder: Recorder, at: float, passed: float) -> Second:
        """Add what is new in a recorder at a moment of the run, `passed` seconds after the last look."""
        new = Histogram(recorder.through - self._through)
        failed = sum(failure.count for failure in recorder.failures())
        p50, p99 = new.quantiles((0.5, 0.99)) if new else (None, None)
        gateway = self._gateway.since_last()
        second = Second(
            at=round(at, 3),
            connections=int(recorder.totals[CONNECTIONS]),
            messages=new.total(),
            failures=failed - self._failed,
            p50=p50,
            p99=p99,
            gateway_cpu=None if gateway is None else round(gateway[0] / passed, 4),
            gateway_rss=None if gateway is None else gateway[1],
        )
        self._through, self._failed = recorder.through, failed
        self.seconds.append(second)
        return second
