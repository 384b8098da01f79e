"""Rise and fall: every run of evidence, and when to probe again (spec §3)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.backends.health import (
    JITTER,
    REFUSED_SECONDS,
    REFUSED_USERS,
    Health,
    HealthTracker,
    next_probe,
)

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


# Passive evidence.


def test_connections_that_fail_count_once_until_a_probe_has_looked() -> None:
    tracked = tracker("+", fall=2)
    assert [tracked.doubt("reset") for _ in range(100)] == [False] * 100
    assert (tracked.state, tracked.reason) == (HEALTHY, "reset")
    tracked.looked()
    assert tracked.doubt("reset again")
    assert (tracked.state, tracked.reason) == (UNHEALTHY, "reset again")


def test_a_probe_decides_after_a_connection_failed() -> None:
    tracked = tracker("+", fall=2)
    tracked.doubt("reset")
    tracked.looked()
    assert tracked.bad("no pong")
    well = tracker("+", fall=2)
    well.doubt("reset")
    well.looked()
    well.good()
    assert not well.doubt("reset")


@pytest.mark.parametrize(("evidence", "state"), [("", UNKNOWN), ("+", HEALTHY)])
def test_a_connection_that_fails_never_decides_alone(evidence: str, state: Health) -> None:
    tracked = tracker(evidence, fall=1)
    assert not tracked.doubt("reset")
    assert (tracked.state, tracked.reason) == (state, "reset")
    assert tracked.bad("no pong")
    assert tracked.state is UNHEALTHY


def refuse(tracked: HealthTracker, users: range, now: float = 0.0) -> bool:
    changed = [tracked.refused(f"u{number}", "it answered 500", now) for number in users]
    return any(changed)


def test_one_user_who_is_refused_says_nothing() -> None:
    tracked = tracker("+", fall=1)
    for second in range(1000):
        assert not tracked.refused("u1", "it answered 500", second / 10)
    assert (tracked.state, tracked.reason) == (HEALTHY, "")


def test_several_refused_users_are_one_failure() -> None:
    tracked = tracker("+", fall=2)
    assert not refuse(tracked, range(REFUSED_USERS - 1))
    assert tracked.reason == ""
    refuse(tracked, range(REFUSED_USERS))
    assert tracked.reason == "it answered 500"
    assert not refuse(tracked, range(1000)), "until a probe has looked"
    tracked.looked()
    assert not refuse(tracked, range(1000)), "nor do the same users count again"
    assert refuse(tracked, range(1000, 1000 + REFUSED_USERS))
    assert tracked.state is UNHEALTHY


def test_refused_users_must_come_within_a_short_time() -> None:
    tracked = tracker("+", fall=1)
    for number in range(10 * REFUSED_USERS):
        assert not refuse(tracked, range(number, number + 1), number * REFUSED_SECONDS / (REFUSED_USERS - 1))
    assert refuse(tracked, range(REFUSED_USERS), 1e6)


def test_an_accepted_user_outweighs_those_who_were_refused_before() -> None:
    tracked = tracker("+", fall=1)
    refuse(tracked, range(REFUSED_USERS - 1))
    tracked.good()
    assert not refuse(tracked, range(10, 10 + REFUSED_USERS - 1))
    assert refuse(tracked, range(20, 21))


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
