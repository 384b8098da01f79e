from __future__ import annotations

import pytest

from memmie_harness.targets import InProcessTarget, ProcessTarget, TargetError, UrlTarget, make_target


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ("process", ProcessTarget),
        ("inprocess", InProcessTarget),
        ("http://127.0.0.1:8000", UrlTarget),
        ("https://gateway.example", UrlTarget),
    ],
)
def test_a_word_means_a_kind(choice: str, kind: type) -> None:
    assert type(make_target(choice, {})) is kind


@pytest.mark.parametrize("choice", ["", "docker", "ws://127.0.0.1:8000", "http://", "127.0.0.1:8000"])
def test_any_other_word_is_refused_with_what_is_allowed(choice: str) -> None:
    with pytest.raises(
        ValueError, match="is no target: give process, inprocess, container or a gateway's http://HOST:PORT"
    ):
        make_target(choice, {})


async def test_whose_logs_are_not_seen_says_so() -> None:
    target = make_target("http://127.0.0.1:8000/", {})

    assert not target.sees_logs
    assert target.log_tail() == ""
    with pytest.raises(TargetError, match="is not seen from here"):
        target.logs()
    with pytest.raises(TargetError, match="is not seen from here"):
        await target.wait_for_log(lambda _: True)
