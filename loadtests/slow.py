"""One user in twenty stops reading: the other users must not notice, and the gateway's memory must not grow much.

In the first half of the time, every user sends heartbeats. In the second half, one user in twenty is a slow reader: it
asks Studio for 128 KiB again and again, and reads nothing. In the end all buffers between it and Studio are full
(about 20 MB, most of it in the kernel), and the gateway stops reading from it. The gateway must not keep more data for
a slow reader than its own buffers hold. Studio disconnects a slow reader, which then connects again.

Latencies are those of the other users in the second half. For `memory per slow reader`, the gateway's memory is measured
when all users are connected, and again at the end. The difference is divided by the number of slow readers.
"""

import json
import math
import time
from argparse import Namespace
from collections.abc import Mapping
from typing import ClassVar, Final

import gevent
from locust import constant, task
from locust.env import Environment

from loadtests.runs.sampling import Usage
from loadtests.scenarios.director import Director
from loadtests.scenarios.heartbeats import BEFORE, GIVE_UP, Heartbeats, HeartbeatUser, MisbehavingUser
from loadtests.scenarios.play import play
from loadtests.users.connection import OperationError

__all__ = ["HeartbeatUser", "SlowUser"]

HELD_BACK: Final = "slow readers held back"
ASKED: Final = "bytes asked for by slow readers"

SLOW_SHARE: Final = 0.05

BLOB_BYTES: Final = 128 << 10
"""The size of each update and of each reply, at least."""

EVERY_SECONDS: Final = 0.1
BUFFER_BYTES: Final = 64 << 10
"""The client's receive buffer in the kernel; what it holds, the gateway need not hold."""

STUCK_SECONDS: Final = 1.0


class SlowUser(MisbehavingUser):
    """Updates its blob again and again, and does not read the replies."""

    wait_time = constant(1)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.asked_bytes = 0
        self.disconnected = 0
        self._sending_since = math.inf

    def totals(self) -> Mapping[str, float]:
        """Return whether it is held back, and the bytes it asked for."""
        # It cannot send if all buffers on the way to Studio are full; then it is disconnected for that.
        stuck = time.monotonic() - self._sending_since > STUCK_SECONDS
        return {HELD_BACK: stuck or self.disconnected > 0, ASKED: self.asked_bytes}

    @task
    def ask_and_leave(self) -> None:
        """Ask until nothing more can be sent, and then until the connection is cut, as it must be."""
        if self.given_up:
            return
        connection = self.connect(buffer_bytes=BUFFER_BYTES)
        if connection is None:
            return
        self.connections = [connection]
        self.ending = True
        try:
            update = {"blob_id": connection.create_blob(), "data": "x" * BLOB_BYTES}
            message = json.dumps({"type": "update_blob", "data": update}).encode()
            self.begun.wait()
            connection.stop_reading()
            while not self.given_up:
                self._sending_since = time.monotonic()
                connection.send(message)
                self._sending_since = math.inf
                self.asked_bytes += BLOB_BYTES
                gevent.sleep(EVERY_SECONDS)
        except OperationError:
            self.disconnected += not self.given_up
        finally:
            self._sending_since = math.inf


class Slow(Heartbeats):
    """Some clients do not read."""

    measured = "after some stop reading"
    needs: ClassVar = {"gateway_pid": (1, "--gateway-pid PID, the process whose memory is read")}
    figures: ClassVar = {
        **BEFORE, "slow readers": "", HELD_BACK: "", ASKED: "bytes", "memory per slow reader": "bytes"
    }  # fmt: skip

    def prepare(self, options: Namespace) -> None:
        """Let one user in twenty be slow."""
        SlowUser.fixed_count = max(1, round(options.num_users * SLOW_SHARE))

    def run(self, director: Director) -> None:
        """Connect, measure in peace, stop reading, measure."""
        slow, figures = SlowUser.fixed_count, director.figures
        director.connect(director.options.num_users)
        gateway = Usage(director.system.gateway_pids)
        before = gateway.since_last()
        self.measure_disturbed(director, f"{slow} users read nothing from now on")
        after = gateway.since_last()
        totals = director.counted().totals
        figures.update({"slow readers": slow, HELD_BACK: totals[HELD_BACK], ASKED: totals[ASKED]})
        if before is not None and after is not None:
            figures["memory per slow reader"] = max(0, after[1] - before[1]) / slow
        director.order(GIVE_UP)
        director.leave()


SCENARIO = play(Slow())
