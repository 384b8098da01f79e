"""Rise and fall: every run of evidence, and when to probe again (spec §3)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.health import JITTER, Health, HealthTracker, next_probe

UNKNOWN, HEALTHY, UNHEALTHY = Health


def tracker(evidence: str = "", *, rise: int = 2, fall: int = 3) -> HealthTracker:
    """A tracker that has seen `evidence`: + is good, - is bad."""
    tracked = HealthTracker(rise=rise, fall=fall)
    for piece in evidence:
        see(tracked, piece)
    return tracked


def see(tracked: HealthTracker, piece: str) -> bool:
    return tracked.good() if piece == "+" else tracked.bad("no pong")


@pytest.mark.parametrize(
    ("evidence", "state", "changed"),
    [
        ("+", HEALTHY, True),  # the first evidence decides
        ("-", UNHEALTHY, True),
        ("++", HEALTHY, False),
        ("+-", HEALTHY, False),
        ("+--", HEALTHY, False),
        ("+---", UNHEALTHY, True),
        ("+----", UNHEALTHY, False),
        ("+--+--", HEALTHY, False),  # not in a row
        ("+--+---", UNHEALTHY, True),
        ("-+", UNHEALTHY, False),
        ("-++", HEALTHY, True),
        ("-+-+", UNHEALTHY, False),
        ("-++---", UNHEALTHY, True),
        ("+---++", HEALTHY, True),
    ],
)
def test_evidence(evidence: str, state: Health, changed: bool) -> None:  # noqa: FBT001 - a column of the table
    tracked = tracker(evidence[:-1])
    assert changed is see(tracked, evidence[-1])
    assert state is tracked.state
    assert ("no pong" if evidence[-1] == "-" else "") == tracked.reason


def test_nothing_is_known_at_first() -> None:
    assert (tracker().state, tracker().reason) == (UNKNOWN, "")


@settings(max_examples=100, deadline=None)
@given(evidence=st.text("+-", max_size=30), rise=st.integers(1, 4), fall=st.integers(1, 4))
def test_a_change_needs_a_whole_run_against_the_state(evidence: str, rise: int, fall: int) -> None:
    tracked = HealthTracker(rise=rise, fall=fall)
    state = UNKNOWN
    for index, piece in enumerate(evidence):
        verdict, needed = (HEALTHY, rise) if piece == "+" else (UNHEALTHY, fall)
        run = len(evidence[: index + 1]) - len(evidence[: index + 1].rstrip(piece))
        turns = state is not verdict and (state is UNKNOWN or run >= needed)
        state = verdict if turns else state
        assert turns is see(tracked, piece)
        assert state is tracked.state


@pytest.mark.parametrize(
    ("evidence", "spread", "seconds"),
    [
        ("", 0, 2),
        ("+", 0, 30),
        ("+-", 0, 2),  # in doubt
        ("+-+", 0, 30),
        ("-", 0, 2),
        ("-+", 0, 2),
        ("-++", 0, 30),
        ("+", 1, 30 * (1 + JITTER)),
        ("+", -1, 30 * (1 - JITTER)),
        ("-", 1, 2 * (1 + JITTER)),
    ],
)
def test_next_probe(evidence: str, spread: float, seconds: float) -> None:
    assert seconds == next_probe(tracker(evidence), interval=30, recovery_interval=2, spread=spread)


def test_a_longer_recovery_interval_does_not_delay_probes() -> None:
    assert next_probe(tracker("-"), interval=1, recovery_interval=2, spread=0) == 1


def test_repr() -> None:
    assert repr(tracker("+-")) == "<HealthTracker healthy 'no pong'>"


def test_a_fresh_tracker_has_the_same_thresholds_and_no_evidence() -> None:
    used = tracker("+--", rise=2, fall=3)
    fresh = used.fresh()
    assert (fresh.state, fresh.reason) == (UNKNOWN, "")
    assert [see(fresh, piece) for piece in "+---+"] == [True, False, False, True, False]
    assert used.state is HEALTHY
