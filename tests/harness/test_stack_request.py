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


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (mark(3), "takes only keyword arguments"),
        (mark(studio=3), "has the arguments studios and env, not 'studio'"),
        (mark(studios="3"), "studios must be a number"),
        (mark(studios=-1), "studios must be a number"),
        (mark(studios=True), "studios must be a number"),
        (mark(env="A=1"), "env must be a dict"),
        (mark(env={"A": None}), "env must be a dict"),
        (mark(env={1: "A"}), "env must be a dict"),
    ],
)
def test_an_invalid_mark_is_refused(wrong: pytest.Mark, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_marks([wrong])
