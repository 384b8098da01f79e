from __future__ import annotations

import re
from collections import Counter

import pytest

from memmie_harness.conformance.catalogue import GROUPS, all_tests, choose
from memmie_harness.conformance.group import MUST, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Level
from memmie_harness.conformance.offers import OFFERS


def test_ids_are_unique_and_stable_in_form() -> None:
    ids = [test.id for test in all_tests()]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    assert [name for name in ids if not re.fullmatch(r"[a-z-]+/[a-z0-9-]+", name)] == []
    assert {test.group for test in all_tests()} == {group.name for group in GROUPS}


def test_every_test_says_what_it_is_about_and_by_which_rule() -> None:
    for test in all_tests():
        assert re.match(r"(RFC \d+ §\d|spec §\d)", test.rule), test.id
        assert test.title, test.id
        assert "{" not in test.title, test.id
        assert not test.title.endswith("."), test.id


def test_what_an_rfc_does_not_say_is_a_feature() -> None:
    assert [t.id for t in all_tests() if t.rule.startswith("spec") and t.level is not Level.FEATURE] == []


def test_there_are_enough_of_them() -> None:
    assert len(all_tests()) >= 150


def test_every_offer_is_needed_by_a_test() -> None:
    used = {need for test in all_tests() for need in test.needs}
    assert OFFERS.keys() - used == {"path"}  # where every test connects to


def test_tests_are_chosen_by_a_part_of_their_ids() -> None:
    assert {test.group for test in choose(["closes/", "data/size-1"])} == {"closes", "data"}
    assert choose([]) == all_tests()
    assert choose(["no such test"]) == []


def test_a_test_that_needs_what_no_profile_can_offer_is_refused() -> None:
    with pytest.raises(ValueError, match="a test needs wings; no profile can offer this"):
        Group("g", "").test("x", "x", level=MUST, rule="RFC 1 §1", needs=["wings"])


async def test_a_table_makes_one_test_of_each_row() -> None:
    group = Group("g", "", needs=("auth",))
    seen: list[tuple[object, ...]] = []

    @group.table(
        level=MUST,
        rule="RFC 1 §1",
        rows=[row("a", "A", 1), row("b", "B", 2, level=Level.SHOULD, rule="RFC 2 §2")],
    )
    async def body(lab: Lab, value: int) -> None:
        seen.append((lab, value))

    first, second = group.tests
    assert (first.id, first.level, first.rule, first.needs) == (
        "g/a",
        Level.MUST,
        "RFC 1 §1",
        frozenset({"auth"}),
    )
    assert (second.id, second.level, second.rule) == ("g/b", Level.SHOULD, "RFC 2 §2")
    await first.body("a lab")
    await second.body("a lab")
    assert seen == [("a lab", 1), ("a lab", 2)]
