from __future__ import annotations

import pytest

from memmie_harness.stack_request import DEFAULT, StackRequest, read_marks


def mark(*args: object, **kwargs: object) -> pytest.Mark:
    return pytest.mark.memmie.with_args(*args, **kwargs).mark


def test_no_mark_is_the_default() -> None:
    assert read_marks([]) == DEFAULT == StackRequest(studios=2, env={})


def test_settings_become_text() -> None:
    request = read_marks(
        [mark(studios=3, env={"MAX_CONNECTIONS_PER_USER": 1, "ALLOWED_ORIGINS": "https://a"})]
    )
    assert request == StackRequest(
        studios=3, env={"MAX_CONNECTIONS_PER_USER": "1", "ALLOWED_ORIGINS": "https://a"}
    )


def test_the_nearer_mark_wins_and_env_is_merged() -> None:
    nearest_first = [mark(env={"A": 1}), mark(studios=1, env={"A": 2, "B": 2}), mark(studios=3)]
    assert read_marks(nearest_first) == StackRequest(studios=1, env={"A": "1", "B": "2"})


def test_the_kind_of_gateway_is_not_a_part_of_the_stack() -> None:
    request = read_marks([mark(studios=2), mark(target="inprocess")])
    assert (request.target, request.has_own_stack) == ("inprocess", False)
    assert (
        read_marks([mark(target="process"), mark(target="inprocess")]).target == DEFAULT.target == "process"
    )
    assert all(read_marks([own]).has_own_stack for own in (mark(studios=1), mark(env={"A": 1})))


def test_what_a_test_needs_comes_from_all_marks() -> None:
    assert read_marks([mark(needs=["drain"]), mark(needs=["log", "drain"])]).needs == {"drain", "log"}


def test_without_a_number_of_studios_another_one_will_do() -> None:
    assert read_marks([mark(env={"A": 1})]).any_studios
    assert not read_marks([mark(studios=2)]).any_studios


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (mark(3), "takes only keyword arguments"),
        (mark(studio=3), "has no argument 'studio'; allowed: studios, env, target, needs"),
        (mark(studios="3"), "studios must be a number"),
        (mark(studios=-1), "studios must be a number"),
        (mark(studios=True), "studios must be a number"),
        (mark(env="A=1"), "env must be a dict"),
        (mark(env={"A": None}), "env must be a dict"),
        (mark(env={1: "A"}), "env must be a dict"),
        (mark(needs="drain"), "needs must be a list of names of offers"),
        (
            mark(needs=["drian"]),
            "needs must be a list of names of offers from docs/conformance.md; .'drian'. is given",
        ),
        (mark(target="container"), "target must be 'process' or 'inprocess'; 'container' is given"),
    ],
)
def test_an_invalid_mark_is_refused(wrong: pytest.Mark, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_marks([wrong])
