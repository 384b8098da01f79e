"""The open loop keeps its times, whatever happens to the load or the gateway."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

pytest.importorskip("picows", reason="the load group is not installed")

from loadtests.common.errors import LoadTestError
from loadtests.traffic.connection import Connection, Schedule, Traffic


class Noting(Connection):
    """Notes when its messages were due; one of them takes the load 50 ms."""

    def __init__(self, traffic: Traffic, number: int, sent: list[tuple[int, float]]) -> None:
        super().__init__(traffic, number)
        self.sent = sent

    def send(self, due: float) -> None:
        self.sent.append((self.number, due))
        assert time.perf_counter() >= due
        if len(self.sent) == 9:
            time.sleep(0.05)


async def test_connections_take_turns_at_even_times_even_if_the_load_is_late() -> None:
    sent: list[tuple[int, float]] = []
    traffic = Traffic()
    schedule = Schedule([Noting(traffic, number, sent) for number in range(3)], rate=100)
    await schedule.run(10, traffic)
    await schedule.run(5, traffic)  # goes on in the same rhythm
    assert [number for number, _ in sent] == [0, 1, 2] * 15
    for (_, due), (_, following) in pairwise(sent):
        assert following - due == pytest.approx(1 / 300)


async def test_a_schedule_ends_when_a_connection_fails() -> None:
    traffic = Traffic()
    schedule = Schedule([Noting(traffic, 0, [])], rate=0.001)
    traffic.fail("connection 0 broke")
    with pytest.raises(LoadTestError, match="connection 0 broke"):
        await schedule.run(1, traffic)
