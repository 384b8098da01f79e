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
        ("ws://127.0.0.1:8000/chat", UrlTarget),
    ],
)
def test_each_name_makes_its_kind_of_target(choice: str, kind: type) -> None:
    assert type(make_target(choice, {})) is kind


@pytest.mark.parametrize(
    "choice",
    [
        "",
        "docker",
        "ws:///ws",
        "http://",
        "127.0.0.1:8000",
        "http://a:99999",
        "http://a:0",
        "ws://[::1",
        "http",
    ],
)
def test_any_other_word_is_refused_with_what_is_allowed(choice: str) -> None:
    with pytest.raises(
        ValueError,
        match=r"is not a target\. Choose process, inprocess, container or the URL of a gateway \(http://HOST:PORT or "
        r"ws://HOST:PORT/PATH\)",
    ):
        make_target(choice, {})


async def test_a_running_gateway_says_that_its_log_cannot_be_read() -> None:
    target = make_target("http://127.0.0.1:8000/", {})

    assert not target.sees_logs
    assert target.log_tail() == ""
    with pytest.raises(TargetError, match="cannot be read, because this test run did not start the gateway"):
        target.logs()
    with pytest.raises(TargetError, match="cannot be read, because this test run did not start the gateway"):
        await target.wait_for_log(lambda _: True)
