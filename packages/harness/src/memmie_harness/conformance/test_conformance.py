"""The kit as pytest tests; see `conftest.py`."""

from __future__ import annotations

import pytest

from memmie_harness.conformance.catalogue import all_tests
from memmie_harness.conformance.model import ConformanceTest, Outcome
from memmie_harness.conformance.reports import explain
from memmie_harness.conformance.session import Session


@pytest.mark.parametrize("conformance_test", all_tests(), ids=lambda test: test.id)
def test_conformance(conformance_test: ConformanceTest, conformance_session: Session) -> None:
    """Run one test of the kit; what the profile does not offer is skipped."""
    result = conformance_session.run(conformance_test)
    if result.outcome is Outcome.NOT_OFFERED:
        pytest.skip(result.evidence.seen)
    if result.outcome is not Outcome.PASSED:
        pytest.fail(explain(result), pytrace=False)
