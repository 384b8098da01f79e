"""Evictions: how many sessions may end on evidence, and in which order."""

from __future__ import annotations

import pytest

from memmie_gateway.core.sessions.evictions import Evictions, Evidence, Share


def always(_: int) -> bool:
    return True


def carried_out(evictions: Evictions[int], now: float, live: int = 10_000) -> list[int]:
    return [item for _, item in evictions.due(now, live, holds=always)]


def add(evictions: Evictions[int], evidence: Evidence, items: range) -> None:
    for item in items:
        evictions.add(evidence, item)


def test_the_first_are_carried_out_at_once_and_the_rest_at_the_rate() -> None:
    evictions: Evictions[int] = Evictions(500)
    add(evictions, Evidence.SILENT, range(2000))
    assert 1 <= len(carried_out(evictions, 0.0)) <= 20
    after_a_second = sum(len(carried_out(evictions, turn / 50)) for turn in range(1, 51))
    assert 490 <= after_a_second <= 510


def test_all_evidence_shares_one_budget_and_the_certain_goes_first() -> None:
    evictions: Evictions[int] = Evictions(10)
    add(evictions, Evidence.UNHEALTHY, range(10, 20))
    add(evictions, Evidence.SILENT, range(10))
    order = [item for turn in range(21) for item in carried_out(evictions, turn * 0.11)]
    assert order == list(range(20))


@pytest.mark.parametrize("live", [0, 40, 100])
def test_refused_tokens_end_a_quarter_of_the_sessions_a_minute_but_always_ten(live: int) -> None:
    evictions: Evictions[int] = Evictions(0)
    add(evictions, Evidence.REFUSED, range(1000))
    ended = 0
    for second in range(60):
        ended += len(carried_out(evictions, second, live - ended))
    assert ended == max(10, live // 4)
    assert len(carried_out(evictions, 60, live - ended)) == max(10, (live - ended) // 4)


@pytest.mark.parametrize("live", [0, 3000])
def test_moves_are_a_thirtieth_of_the_sessions_a_second_but_always_twenty(live: int) -> None:
    evictions: Evictions[int] = Evictions(0)
    add(evictions, Evidence.MOVE, range(1000))
    assert len(carried_out(evictions, 0, live)) == max(20, live // 30)
    assert not carried_out(evictions, 0.5, live - live // 30)
    assert carried_out(evictions, 1.0, live)


def test_judgements_that_wait_hold_up_no_other_evidence() -> None:
    evictions: Evictions[int] = Evictions(0)
    add(evictions, Evidence.REFUSED, range(50))
    carried_out(evictions, 0, live=0)
    evictions.add(Evidence.SILENT, 99)
    assert carried_out(evictions, 0, live=0) == [99]
    assert evictions.waiting(Evidence.REFUSED) == 40
    assert len(evictions) == 40


def test_an_eviction_that_does_not_hold_any_more_is_dropped_and_costs_nothing() -> None:
    evictions: Evictions[int] = Evictions(1)
    add(evictions, Evidence.SILENT, range(3))
    assert evictions.due(0, 10, holds=lambda item: item == 2) == [(Evidence.SILENT, 2)]
    assert not len(evictions)


def test_no_maximum_carries_out_everything() -> None:
    evictions: Evictions[int] = Evictions(0)
    add(evictions, Evidence.UNHEALTHY, range(5000))
    assert len(carried_out(evictions, 0)) == 5000


def test_they_say_how_many_wait() -> None:
    evictions: Evictions[int] = Evictions(1)
    add(evictions, Evidence.SILENT, range(3))
    assert repr(evictions) == "<Evictions waiting=3>"
    assert repr(Share(share=1, at_least=1, seconds=60)) == "<Share 0 in 60 s>"
