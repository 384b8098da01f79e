"""The failures that a profile knows: that they exist, that the gateway offers what they test, and what a run says."""

from __future__ import annotations

from pathlib import Path

import pytest

from memmie_harness.conformance import known, template
from memmie_harness.conformance.catalogue import all_tests
from memmie_harness.conformance.installed import not_installed
from memmie_harness.conformance.model import ConformanceTest, Evidence, Level, Outcome, Report, Result
from memmie_harness.conformance.profile import Profile, Setup, Start
from memmie_harness.conformance.profile_file import ProfileError, load_profile, read_profile, ready_made

PROFILE = Profile("gw", "gw", [Setup("main", Start(), {})], (), {"g/red": "its source says so"}, "gw 1.2")

HEAD = 'name = "gw"\n'
START = '[start]\ncommand = "./gw"\n'


async def nothing(lab: object) -> None:
    del lab


def result(name: str, outcome: Outcome) -> Result:
    return Result(
        ConformanceTest(name, "T", "RFC 1 §1", Level.MUST, frozenset(), nothing), outcome, Evidence()
    )


def test_a_known_failure_has_a_note() -> None:
    noted = known.with_note(PROFILE, result("g/red", Outcome.FAILED))
    assert noted.evidence.note == "its source says so (found with gw 1.2)"
    for other in (result("g/red", Outcome.PASSED), result("g/other", Outcome.FAILED)):
        assert known.with_note(PROFILE, other) == other


def test_a_run_is_compared_with_what_the_profile_knows() -> None:
    results = [
        result("g/red", Outcome.PASSED),
        result("g/new", Outcome.FAILED),
        result("g/good", Outcome.PASSED),
    ]
    assert known.unexpected(PROFILE, results) == [
        "g/red is passed, but the profile says that it fails",
        "g/new failed, and the profile does not know why",
    ]
    assert known.unexpected(PROFILE, [result("g/red", Outcome.FAILED)]) == []
    # What was not run is not missed.
    assert known.unexpected(PROFILE, []) == []


def test_the_end_of_a_run_says_so() -> None:
    red = known.with_note(PROFILE, result("g/red", Outcome.FAILED))
    assert known.summary(PROFILE, Report("gw", {}, [red, result("g/new", Outcome.FAILED)])) == [
        "1 failed as the profile says, which knows why (gw 1.2)",
        "unexpected: g/new failed, and the profile does not know why",
    ]
    empty = Profile("gw", "gw", PROFILE.setups)
    assert known.summary(empty, Report("gw", {}, [result("g/new", Outcome.FAILED)])) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('known_version = "1"\nknown = [1]\n' + START, "known[0]: must be a table; write [[known]]"),
        ('known_version = "1"\n' + START + '[[known]]\ntests = ["a/b"]', "known[0].why: is missing"),
        ('known_version = "1"\n' + START + "[[known]]\nwhy = 'x'", "known[0].tests: is missing"),
        (
            'known_version = "1"\n' + START + "[[known]]\nwhy = 'x'\ntests = [1]",
            "known[0].tests: must be a list of texts, but is [1]",
        ),
        (
            'known_version = "1"\n' + START + "[[known]]\nwhy = 'x'\ntests = ['a/b', 'a/b']",
            "known[0].tests: 'a/b' is there twice",
        ),
        (START + "[[known]]\nwhy = 'x'\ntests = ['a/b']", "known_version: is missing"),
    ],
)
def test_an_invalid_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "gw.toml"
    file.write_text(HEAD + text)
    with pytest.raises(ProfileError) as caught:
        read_profile(file)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ready_made())
def test_each_known_failure_is_a_test_that_the_gateway_is_asked(name: str) -> None:
    profile = load_profile(name)
    tests = {test.id: test for test in all_tests()}
    assert profile.known.keys() - tests.keys() == set()
    assert [each for each in profile.known if profile.setup_for(tests[each].needs) is None] == []
    assert [why for why in profile.known.values() if not why.endswith(".")] == []


@pytest.mark.parametrize("name", ready_made())
def test_the_configuration_of_each_profile_is_rendered(name: str) -> None:
    numbered = [f"STUDIO_{what}_{number}" for what in ("ADDRESS", "PORT") for number in (1, 2, 3)]
    values = {each: f"<{each}>" for each in (*template.FIXED, *numbered)}
    for setup in load_profile(name).setups:
        texts = [*setup.start.command, *setup.start.env.values()]
        if setup.start.config is not None:
            texts.append(setup.start.config.read_text())
        for text in texts:
            assert template.names_in(template.render(text, values)) == set()


def test_our_own_gateway_fails_nothing() -> None:
    assert load_profile("memmie").known == {}


def test_naive_proxies_and_our_gateway_need_nothing_that_the_kit_does_not_bring() -> None:
    assert [name for name in ("memmie", "websockets", "aiohttp") if not_installed(load_profile(name))] == []
