"""What scenarios have in common whose well-behaved users must notice nothing of what others do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from loadtests.runs.recorder import DIRECT, GATEWAY, OVERHEAD, Recorder
from loadtests.users.heartbeat import HeartbeatUser
from loadtests.users.swarm import Swarm

LATENCIES: Final = (GATEWAY, DIRECT, OVERHEAD)
FIGURES: Final = ("answered", "lost", "closed")
"""What `tell_heartbeats` sets."""

IN_PEACE: Final = "gateway p99 before"
"""What `measure_disturbed` sets."""


def ramp_heartbeats(swarm: Swarm, count: int) -> None:
    """Let so many well-behaved users come, and wait until all are connected."""
    swarm.ramp(HeartbeatUser, count)
    swarm.until(lambda: swarm.recorder.connections >= count, "all connected")
    swarm.recorder.event(f"{count} connections are open")
    swarm.settle()


def measure_disturbed(swarm: Swarm, seconds: float, disturb: Callable[[], None]) -> None:
    """Measure half the time in peace, and half of it after `disturb`; the latencies are those of the second half."""
    swarm.measure(seconds / 2)
    in_peace = swarm.recorder.latencies().get(GATEWAY)
    if in_peace is not None:
        swarm.recorder.figure(IN_PEACE, in_peace.p99, "s")
    disturb()
    swarm.measure(seconds / 2)


def tell_heartbeats(recorder: Recorder) -> None:
    """Set the figures of the well-behaved users."""
    recorder.figure("answered", recorder.answered)
    recorder.figure("lost", recorder.unanswered)
    recorder.figure("closed", recorder.closes.total())
