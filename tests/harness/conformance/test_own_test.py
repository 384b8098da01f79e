"""The group of tests that docs/conformance.md shows: a right gateway passes it, and a wrong one does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.mutants.mutants import SwallowsCodes
from tests.mutants.registry import MUTANTS
from tests.mutants.toy import Toy

from memmie_harness.conformance.group import Group
from memmie_harness.conformance.model import Outcome
from memmie_harness.conformance.profile import Profile, Setup, Start
from memmie_harness.conformance.runner import run
from memmie_harness.conformance.stack import Launch

PAGE = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text(encoding="utf-8")
OFFERS = {"auth": True, "token_header": True, "forwards_headers": True, "forwards_closes": True}


@pytest.mark.parametrize(
    ("launch", "outcomes"),
    [
        (Toy, [Outcome.PASSED, Outcome.PASSED]),
        (MUTANTS[SwallowsCodes.__name__][0], [Outcome.FAILED, Outcome.FAILED]),
    ],
)
async def test_the_shown_group_is_run(launch: Launch, outcomes: list[Outcome]) -> None:
    [shown] = re.findall(r"<!-- a group of tests -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    namespace: dict[str, object] = {}
    exec(shown, namespace)  # noqa: S102 - our own page
    group = namespace["GROUP"]
    assert isinstance(group, Group)

    profile = Profile("toy", "toy", [Setup("main", Start(), OFFERS)])
    report = await run(profile, group.tests, launch=launch)

    assert [result.test.id for result in report.results] == ["goodbyes/done", "goodbyes/own-code"]
    assert [result.outcome for result in report.results] == outcomes
