"""What the attack suite relies on: its judgement can fail, and each attack belongs to a threat of the threat model."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.attack.attacks import ATTACKS
from tests.attack.good import KINDS, Neighbours, Stopwatch
from tests.attack.run import Times, Verdict, direct_times
from tests.attack.stage import Held

from memmie_harness.numbered import Life, Refusal

THREAT_MODEL = Path(__file__).resolve().parents[2] / "docs" / "threat-model.md"


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_says_what_it_does_and_is_in_the_threat_model(name: str) -> None:
    attack = ATTACKS[name]
    assert attack.act.__doc__
    (row,) = [
        line for line in THREAT_MODEL.read_text().splitlines() if line.startswith(f"| {attack.threat} |")
    ]
    module = attack.act.__module__.rpartition(".")[2]
    assert f"`attack/{module}.py`" in row


def neighbours() -> Neighbours:
    """Good clients that have sent three messages and got their acks."""
    good = Neighbours("ws://127.0.0.1:1/ws", ["ws://127.0.0.1:2/ws"])
    for client in good.crowd:
        client.lives.append(
            Life(0.0, sent=[1, 2, 3], acknowledged=[1, 2, 3], round_trips=[0.003, 0.001, 0.002])
        )
    return good


def test_clients_that_were_served_are_not_harmed() -> None:
    good = neighbours()
    assert good.harm() == []
    assert (len(good.crowd), len(good.http)) == (90 + 10, 10 + 10)


def test_every_harm_is_found() -> None:
    good = neighbours()
    refused, closed, lost, doubled = list(good.crowd)[:4]
    refused.refusals.append(Refusal(0.0, 429, "too many"))
    closed.life.ended, closed.life.code, closed.life.reason = 1.0, 1008, "too fast"
    lost.life.acknowledged.remove(2)
    doubled.life.acknowledged.append(3)
    good.http[0].problems.append("http-9 was refused: 429")
    for words in (
        "refused: 429 too many",
        "closed: 1008 too fast",
        "got acks for [1, 3]",
        "1 duplicated",
        "http-9 was refused",
    ):
        assert any(words in each for each in good.harm()), words


def test_a_stopwatch_reads_what_is_new() -> None:
    good = neighbours()
    watch = Stopwatch(good)
    client = good.crowd[0]
    client.life.round_trips += [0.02, 0.01]
    client.lives.append(Life(1.0, round_trips=[0.03]))
    good.crowd[6].life.round_trips.append(0.04)
    good.http[0].round_trips.append(0.05)
    list(good.crowd)[-1].life.round_trips.append(0.06)
    good.http[-1].round_trips.append(0.07)
    assert watch.lap() == {
        "WebSocket": [0.01, 0.02, 0.03],
        "Socket.IO": [0.04],
        "HTTP": [0.05],
        "WebSocket, direct": [0.06],
        "HTTP, direct": [0.07],
    }
    assert not any(watch.lap().values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("calm", "attacked", "holds"),
    [(0.001, 0.049, True), (0.001, 0.051, False), (0.02, 0.19, True), (0.02, 0.21, False), (0.06, 9.0, True)],
)
def test_the_limit_depends_on_the_machine(kind: str, calm: float, attacked: float, *, holds: bool) -> None:
    fast = [Times(each, 0.001, 0.001) for each in KINDS]
    assert Verdict("", times=[*fast, Times(kind, calm, attacked)]).holds is holds


def test_what_clients_without_a_gateway_wait_for_is_not_its_fault() -> None:
    assert Verdict("", times=[Times("HTTP", 0.001, 0.149, direct=0.1)]).holds
    assert not Verdict("", times=[Times("HTTP", 0.001, 0.151, direct=0.1)]).holds
    times = {"WebSocket, direct": [0.1], "HTTP, direct": [0.2]}
    assert [direct_times(kind, times) for kind in KINDS] == [[0.1], [0.2], [0.2]]


def test_a_problem_is_a_failure_however_fast_the_round_trips_are() -> None:
    assert not Verdict("", problems=["good-1 was closed"]).holds


def test_what_the_gateway_still_holds_is_named() -> None:
    before = Held({"gateway_pending_connections": 0.0}, descriptors=20)
    after = Held({"gateway_pending_connections": 2.0}, descriptors=21)
    assert before.more_than(before) == []
    assert after.more_than(before) == [
        "gateway_pending_connections is 2, and was 0",
        "21 descriptors are open, and 20 were",
    ]
