"""A backend: what counts for and against it, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.net.backends import url

from memmie_gateway.core.backends.balancer import NEVER
from memmie_gateway.core.backends.health import REFUSED_SECONDS, REFUSED_USERS, Health, HealthTracker
from memmie_gateway.core.backends.outlier import USERS, OutlierTracker
from memmie_gateway.net.backends.backend import Backend

HEALTHY, UNHEALTHY = Health.HEALTHY, Health.UNHEALTHY


@dataclass
class Watched:
    """A healthy backend, with what it tells."""

    backend: Backend
    now: float = 100.0
    changes: list[Health] = field(default_factory=list)
    doubts: int = 0

    def doubt(self) -> None:
        self.doubts += 1


@pytest.fixture
def watched() -> Watched:
    tracker, outlier = HealthTracker(rise=1, fall=2), OutlierTracker(hold=5, probed=True)
    seen = Watched(Backend(url("a"), tracker, outlier, lambda: seen.now))
    seen.backend.checked_at = "ws://a/ws/health"
    seen.backend.on_doubt = seen.doubt
    seen.backend.on_change = lambda each: seen.changes.append(each.tracker.state)
    seen.backend.passed(began=99)
    return seen


def test_its_first_health_check_is_no_return(watched: Watched) -> None:
    assert (watched.changes, watched.backend.passes) == ([HEALTHY], True)
    assert watched.backend.returned == NEVER


@pytest.mark.parametrize(
    "fails",
    [
        lambda backend: backend.failed("refused"),
        lambda backend: backend.broke("u1", "a connection broke"),
        lambda backend: backend.unanswered("u1", "reset"),
    ],
)
def test_connections_that_fail_are_one_failure_until_a_check_has_looked(
    watched: Watched, fails: Callable[[Backend], None]
) -> None:
    for number in range(1, 11):
        fails(watched.backend)
        assert watched.doubts == number, "each starts a check"
    assert (watched.backend.failures, watched.backend.healthy) == (10, True)
    watched.backend.failed_check("no pong", began=watched.now)
    assert watched.changes == [HEALTHY, UNHEALTHY]
    assert watched.backend.passes is False


def test_errors_that_one_user_gets_start_nothing(watched: Watched) -> None:
    for _ in range(100):
        watched.backend.refused("u1", "it answered 500")
    assert (watched.doubts, watched.backend.tracker.reason) == (0, "")
    for number in range(10 * REFUSED_USERS):
        watched.backend.refused(f"u{number}", "it answered 500")
    assert watched.doubts == 1
    assert watched.backend.healthy


def test_only_a_check_shows_that_it_is_healthy_again(watched: Watched) -> None:
    for _ in range(2):
        watched.backend.failed_check("no pong", began=watched.now)
    watched.backend.worked()
    assert watched.backend.tracker.state is UNHEALTHY
    watched.now = 200
    watched.backend.passed(began=200)
    assert watched.changes == [HEALTHY, UNHEALTHY, HEALTHY]
    assert watched.backend.returned == 200


def test_an_accepted_connection_outweighs_one_failure(watched: Watched) -> None:
    watched.backend.failed_check("no pong", began=watched.now)
    watched.backend.worked()
    watched.backend.failed_check("no pong", began=watched.now)
    assert watched.backend.healthy


@pytest.mark.parametrize("fall", [1, 2])
@pytest.mark.parametrize("fails", [Backend.broke, Backend.unanswered])
def test_without_checks_one_users_trouble_is_weak_evidence(
    watched: Watched, fails: Callable[[Backend, str, str], None], fall: int
) -> None:
    watched.backend.tracker = HealthTracker(rise=1, fall=fall)
    watched.backend.passed(began=99)
    watched.backend.checked_at = ""
    for _ in range(100):
        fails(watched.backend, "u1", "reset")
        watched.backend.tracker.looked()
    assert (watched.doubts, watched.backend.healthy) == (0, True)


def test_without_checks_each_failure_is_told(watched: Watched) -> None:
    """Otherwise nothing would take it back into use."""
    watched.backend.checked_at = ""
    for number in range(2 * REFUSED_USERS):
        watched.backend.refused(f"u{number}", "it answered 500")
        if number == REFUSED_USERS:
            watched.backend.tracker.looked()
    assert (watched.doubts, watched.backend.healthy) == (2, False)
    for _ in range(2):
        watched.backend.failed("refused")
    assert watched.doubts == 4


@pytest.mark.parametrize("fails", [Backend.broke, Backend.unanswered])
def test_one_user_never_changes_its_health_even_if_one_failure_is_enough(
    watched: Watched, fails: Callable[[Backend, str, str], None]
) -> None:
    watched.backend.tracker = HealthTracker(rise=1, fall=1)
    watched.backend.passed(began=99)
    for _ in range(100):
        fails(watched.backend, "u1", "reset")
        watched.backend.passed(began=99)
    assert watched.changes == [HEALTHY, HEALTHY]
    fails(watched.backend, "u1", "reset")
    watched.backend.failed_check("no pong", began=watched.now)
    assert not watched.backend.available


def test_dials_without_an_answer_count_against_users_that_wait_for_it_if_they_are_of_two(
    watched: Watched,
) -> None:
    """One user alone must not hold up the moves of others."""
    watched.now = 200
    for _ in range(100):
        watched.backend.unanswered("u1", "no answer")
    assert watched.backend.good_for == 100
    watched.backend.unanswered("u2", "no answer")
    assert watched.backend.good_for == 0
    watched.backend.worked()
    watched.backend.unanswered("u1", "no answer")
    watched.now = 200 + REFUSED_SECONDS
    watched.backend.unanswered("u2", "no answer")
    assert watched.backend.good_for == 100 + REFUSED_SECONDS


@pytest.mark.parametrize(
    "fails",
    [lambda backend: backend.failed("refused"), lambda backend: backend.failed_check("no pong", began=99)],
)
def test_a_failure_is_no_evidence_of_an_outlier(watched: Watched, fails: Callable[[Backend], None]) -> None:
    for number in range(USERS):
        watched.backend.outlier.ended(f"u{number}", watched.now, watched.now, broken=True)
    watched.backend.broke("u1", "a connection broke")
    watched.backend.refused("u1", "it answered 500")
    watched.backend.unanswered("u1", "reset")
    assert watched.backend.outlier.waiting
    fails(watched.backend)
    assert not watched.backend.outlier.waiting


def test_one_that_returns_is_not_ejected_any_more(watched: Watched) -> None:
    watched.backend.outlier.eject(watched.now)
    assert watched.backend.ejected
    for _ in range(2):
        watched.backend.failed_check("no pong", began=watched.now)
    watched.backend.passed(began=watched.now)
    assert (watched.backend.ejected, watched.backend.outlier.ejected) == (False, False)
