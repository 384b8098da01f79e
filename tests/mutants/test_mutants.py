"""Every mutant is caught by the conformance tests that are there for it, and the gateway without a mutation passes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.mutants.all_by_all import TABLE, compare, read_table
from tests.mutants.registry import MUTANTS
from tests.mutants.toy import Toy
from tests.mutants.toy_profile import profile

from memmie_harness.conformance import catalogue
from memmie_harness.conformance.model import Outcome
from memmie_harness.conformance.peers import Head
from memmie_harness.conformance.peers.heads import KEY
from memmie_harness.conformance.reports import explain
from memmie_harness.conformance.runner import run


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_gateway_without_a_mutation_passes() -> None:
    report = await run(profile(10), catalogue.all_tests(), launch=Toy)

    failed = [result for result in report.results if result.outcome in {Outcome.FAILED, Outcome.ERROR}]
    assert not failed, "\n".join(map(explain, failed))


NAMES = sorted(MUTANTS)  # the order in which they were added depends on which module was imported first
SIDE_BY_SIDE = 8
"""How many mutants are tested at the same time: most tests wait a second for what a mutant never sends."""


@pytest.mark.parametrize(
    "names",
    [NAMES[at : at + SIDE_BY_SIDE] for at in range(0, len(NAMES), SIDE_BY_SIDE)],
    ids=lambda names: f"{names[0]} to {names[-1]}",
)
async def test_mutants_are_caught(names: Sequence[str]) -> None:
    missed = dict(zip(names, await asyncio.gather(*map(missed_by_tests, names)), strict=True))

    assert not {name: tests for name, tests in missed.items() if tests}


async def missed_by_tests(name: str) -> list[str]:
    """Return the tests that a mutant passes, of those that must catch it."""
    launch, caught_by = MUTANTS[name]
    tests = [test for test in catalogue.all_tests() if test.id in caught_by]
    assert {test.id for test in tests} == set(caught_by), f"{name} names a test that does not exist"

    report = await run(profile(1), tests, launch=launch)

    return [result.test.id for result in report.results if result.outcome is not Outcome.FAILED]


class TakesRequestsWithoutKey(Toy):
    def check_upgrade(self, head: Head) -> None:
        key = () if head.get("sec-websocket-key") else (("sec-websocket-key", KEY),)
        super().check_upgrade(replace(head, fields=head.fields + key))


async def test_what_is_refused_is_tested_in_other_tests_than_how_it_is_refused() -> None:
    names = ["no-key", "refusal-is-complete", "refused-one-harms-nobody"]
    tests = catalogue.choose([f"refusals/{name}" for name in names])

    report = await run(profile(1), tests, launch=TakesRequestsWithoutKey)

    assert [str(result.outcome) for result in report.results] == ["failed", "passed", "passed"]


def test_the_table_knows_every_mutant_and_only_tests_that_exist() -> None:
    table = read_table(TABLE)
    ids = {test.id for test in catalogue.all_tests()}
    assert table.keys() == MUTANTS.keys(), "run `nox -s mutants -- --write`"
    for name, failing in table.items():
        assert set(MUTANTS[name][1]) <= set(failing), name
        assert set(failing) <= ids, name


def test_differences_from_the_table_are_named_in_both_directions() -> None:
    table = {"Drops": ["data/size", "data/order"], "Leaks": ["limits/race"]}
    assert compare({"Drops": ["data/order", "data/cut"], "New": ["a/b"]}, table) == [
        "Drops: data/cut fails, too",
        "Drops: data/size does not fail",
        "New: a/b fails, too",
    ]


def test_each_group_has_a_mutant() -> None:
    caught = {test_id.partition("/")[0] for _, caught_by in MUTANTS.values() for test_id in caught_by}
    assert {group.name for group in catalogue.GROUPS} == caught


async def test_a_token_in_the_subprotocols_does_not_hide_a_wrong_answer() -> None:
    class NamesEverything(Toy):
        def client_answer(self, head: Head, answer: Head, token: str) -> bytes:
            right = super().client_answer(head, answer, token)
            return right[:-2] + b"Content-Length: 0\r\nSec-WebSocket-Extensions: x\r\n\r\n"

    ids = ("no-content-length-in-101", "no-extension-unasked", "no-subprotocol-unasked")
    tests = [test for test in catalogue.all_tests() if test.id.partition("/")[2] in ids]
    whole = profile(1)
    offers = {**whole.main.offers, "token_header": False, "token_query": False}
    only = replace(whole, setups=[replace(whole.main, offers=offers)])

    report = await run(only, tests, launch=NamesEverything)

    assert [result.outcome for result in report.results] == [Outcome.FAILED, Outcome.FAILED, Outcome.PASSED]
