"""slow: some read nothing; do the others notice, and does the gateway's memory stay within bounds?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import ClassVar, Final

from locust import User

from loadtests.runs.sampling import Processes
from loadtests.scenarios.bystanders import (
    FIGURES,
    IN_PEACE,
    LATENCIES,
    measure_disturbed,
    ramp_heartbeats,
    tell_heartbeats,
)
from loadtests.scenarios.options import add_every
from loadtests.scenarios.scenario import Scenario
from loadtests.stack.system import System
from loadtests.users.heartbeat import HeartbeatUser
from loadtests.users.slow import SlowUser
from loadtests.users.swarm import Swarm

SLOW_SHARE: Final = 0.05


class Slow(Scenario):
    """Some clients do not read."""

    name = "slow"
    about = "One in twenty reads nothing of what it asks for: the others must not notice, nor the gateway's memory."
    teaches = """\
Half the time is peace: everyone sends heartbeats. Then one user in twenty exchanges 128 KiB with Studio again and
again and reads nothing of it, until all buffers between the two are full (some 20 MB, most of it the kernel's) and it
is held back. The gateway must keep no more for it than its own buffers hold; Studio disconnects it, and it begins again.
Latencies are the others', in the second half; `memory per slow reader` is what the gateway has grown by at its end."""
    seconds = 60
    measured = "after some stop reading"
    part = 2
    user_classes: ClassVar[tuple[type[User], ...]] = (HeartbeatUser, SlowUser)
    latencies = LATENCIES
    figures = (
        *FIGURES, IN_PEACE, "slow readers", "slow readers held back", "bytes asked for by slow readers",
        "memory per slow reader",
    )  # fmt: skip

    def add_options(self, parser: ArgumentParser) -> None:
        """Add the pace."""
        add_every(parser)

    def missing(self, system: System) -> str:
        """Look for the process whose memory is looked at."""
        return "" if system.gateway_pids else "--gateway-pid PID, the process whose memory is looked at"

    def run(self, swarm: Swarm, options: Namespace) -> None:
        """Ramp, measure in peace, stop reading, measure."""
        recorder = swarm.recorder
        slow_count = max(1, round(options.connections * SLOW_SHARE))
        slow = swarm.ramp(SlowUser, slow_count)
        ramp_heartbeats(swarm, max(1, options.connections - slow_count))
        gateway = Processes(swarm.environment.system.gateway_pids)
        resident: list[int] = []

        def begin() -> None:
            if (used := gateway.used()) is not None:
                resident.append(used[1])
            recorder.event(f"{slow_count} users read nothing from now on")
            for user in slow:
                user.begin()

        measure_disturbed(swarm, options.seconds, begin)
        used = gateway.used()
        held = sum(user.stuck or user.disconnected > 0 for user in slow)
        for user in slow:
            user.give_up()
        swarm.stop()
        tell_heartbeats(recorder)
        recorder.figure("slow readers", slow_count)
        recorder.figure("slow readers held back", held)
        recorder.figure("bytes asked for by slow readers", sum(user.asked_bytes for user in slow), "bytes")
        if resident and used is not None:
            recorder.figure("memory per slow reader", max(0, used[1] - resident[0]) / slow_count, "bytes")
