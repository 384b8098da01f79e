"""Every mutant is caught by the conformance tests that are there for it, and the gateway without a mutation passes."""

from __future__ import annotations

import pytest
from tests.mutants.mutants import MUTANTS
from tests.mutants.toy import MAX_OF_USER, MAX_TOKEN, REFUSAL_SECONDS, Toy

from memmie_harness.conformance import catalogue
from memmie_harness.conformance.model import Outcome
from memmie_harness.conformance.offers import OfferValue
from memmie_harness.conformance.profile import Profile, Setup, Start
from memmie_harness.conformance.reports import explain
from memmie_harness.conformance.runner import run

OFFERS: dict[str, OfferValue] = {
    **dict.fromkeys(
        (
            "auth",
            "auth_body", "token_header", "closes_at_expiry", "hides_token",
            "hides_copies", "forwards_headers", "forwards_query",
            "forwards_subprotocols", "forwards_extensions", "forwards_refusals", "answers_after_backend",
            "checks_upgrade", "checks_backend_upgrade", "forwarded_for", "replaces_forwarded", "request_id",
            "keeps_request_id",
            "keeps_early_bytes", "keeps_frames", "inspects_frames",
            "strict_lengths", "forwards_closes", "waits_for_close", "ends_handshake", "log",
        ),
        True,
    ),
    "token_query": "token",
    "token_subprotocol": "bearer",
    "auth_cache_seconds": 60.0,
    "refusal_cache_seconds": REFUSAL_SECONDS,
    "token_bytes": MAX_TOKEN,
    "user_query": "user_id",
    "user_header": "X-User-ID",
    "status_path": "/status",
    "message_bytes": 1 << 20,
    "buffer_bytes": 1 << 20,
    "connections_per_user": MAX_OF_USER,
    "metrics_path": "/metrics",
    "metric_connections": "toy_connections",
    "metric_messages": "toy_messages_total",
}  # fmt: skip


def profile(patience: float) -> Profile:
    return Profile(
        "toy", "the gateway of the mutants", [Setup("main", Start(patience_seconds=patience), OFFERS)]
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_gateway_without_a_mutation_passes() -> None:
    report = await run(profile(10), catalogue.all_tests(), launch=Toy)

    failed = [result for result in report.results if result.outcome in {Outcome.FAILED, Outcome.ERROR}]
    assert not failed, "\n".join(map(explain, failed))


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_mutant_is_caught(name: str) -> None:
    launch, caught_by = MUTANTS[name]
    tests = [test for test in catalogue.all_tests() if test.id in caught_by]
    assert {test.id for test in tests} == set(caught_by), "a test that does not exist"

    report = await run(profile(1), tests, launch=launch)

    missed = [result.test.id for result in report.results if result.outcome is not Outcome.FAILED]
    assert not missed
