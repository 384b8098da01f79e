"""A program that is missing."""

from __future__ import annotations

import pytest
from tests.docs.programs import missing


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_it_is_a_failure_in_ci(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[Exception]) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="curl"):
        missing("curl is not installed")
