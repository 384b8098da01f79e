"""The run second by second: what was counted, and what the processes used."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import gevent
import psutil

from loadtests.common.run import Second
from loadtests.runs.recorder import Recorder

BUSY: Final = 0.9
"""A client that uses more of its core than this measures itself."""

LATE: Final = 0.25
"""A client that is so many seconds late does not make the load that it says."""


class Processes:
    """What some processes use together.

    Args:
        pids: their ids; none for processes that cannot be seen.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes: list[psutil.Process] = []
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                self._processes.append(psutil.Process(pid))
        self._cpu_seconds = {process.pid: _cpu_seconds(process) for process in self._processes}

    def used(self) -> tuple[float, int] | None:
        """Return the CPU seconds since the last call, and the resident bytes now; None if none of them runs."""
        seconds, resident, seen = 0.0, 0, False
        for process in self._processes:
            with contextlib.suppress(psutil.Error):
                now = _cpu_seconds(process)
                resident += process.memory_info().rss
                seconds += now - self._cpu_seconds[process.pid]
                self._cpu_seconds[process.pid] = now
                seen = True
        return (seconds, resident) if seen else None


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Sampler:
    """Looks once a second, in a greenlet of its own.

    Args:
        recorder: what counts the run.
        gateway_pids: the gateway's processes.
        tell: called with each second.

    Attributes:
        timeline: what was seen.
        client_cpu: for each second, the share of a core that this process used.
        late: how many seconds this process came too late to look, at most, while it was measuring: so late it was to send, too.
    """

    def __init__(
        self, recorder: Recorder, gateway_pids: Sequence[int], tell: Callable[[Second], None]
    ) -> None:
        self.timeline: list[Second] = []
        self.client_cpu: list[float] = []
        self.late = 0.0
        self._recorder = recorder
        self._gateway = Processes(gateway_pids)
        self._client = Processes([psutil.Process().pid])
        self._tell = tell
        self._last = recorder.at
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Look no more."""
        self._greenlet.kill()

    def _run(self) -> None:
        while True:
            gevent.sleep(max(0.0, self._last + 1 - self._recorder.at))
            self._look()

    def _look(self) -> None:
        at = self._recorder.at
        passed, self._last = at - self._last, at
        if self._recorder.measuring:
            self.late = max(self.late, passed - 1)
        counts = self._recorder.take_second()
        gateway, client = self._gateway.used(), self._client.used()
        if client is not None:
            self.client_cpu.append(client[0] / passed)
        second = Second(
            at=round(at, 3),
            connections=self._recorder.connections,
            messages=counts.messages,
            failures=counts.failures,
            p50=counts.p50,
            p99=counts.p99,
            gateway_cpu=None if gateway is None else round(gateway[0] / passed, 4),
            gateway_rss=None if gateway is None else gateway[1],
        )
        self.timeline.append(second)
        self._tell(second)
