"""What a script may say, and how it is told what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from memmie_fake_auth import FakeAuth
from memmie_fake_base.faults import Latency
from memmie_fake_studio import FakeStudio
from memmie_fake_studio.faults import STUDIO_FAULTS


@pytest.mark.parametrize(
    ("fault", "parameters", "complaint"),
    [
        (
            "earthquake",
            {},
            "'earthquake' is unknown; allowed: drip, error, garbage, hang, html, latency, reset",
        ),
        ("latency", {}, "latency: parameter seconds is missing"),
        ("latency", {"seconds": -1}, "seconds: -1 is given; allowed: 0 or more"),
        ("latency", {"seconds": float("nan")}, "seconds: nan is given"),
        ("latency", {"seconds": "soon"}, "latency: seconds: 'soon' is given; a number is expected"),
        ("latency", {"seconds": True}, "latency: seconds: True is given; a number is expected"),
        ("latency", {"seconds": 1, "color": 1}, "unknown parameter color; allowed: seconds, jitter"),
        ("hang", {"seconds": 1}, "unknown parameter seconds; this fault has no parameters"),
        ("error", {"status": 99}, "status: 99 is given; allowed: 200-599"),
        ("html", {"status": 600}, "status: 600 is given; allowed: 200-599"),
        ("garbage", {"size": 0}, "size: 0 is given; allowed: 1 or more"),
        ("drip", {"bytes_per_second": 0}, "bytes_per_second: 0 is given; allowed: 1 or more"),
        ("reset", {"times": 0}, "times: 0 is given; allowed: 1 or more"),
        ("reset", {"route": "health"}, "route: 'health' is given; allowed: a path such as"),
        (
            "reset",
            {"user_id": "u1"},
            "user_id: this fake cannot limit a fault by user_id, only by route",
        ),
    ],
)
def test_auth_says_what_is_wrong_with_a_script(
    fault: str, parameters: dict[str, Any], complaint: str
) -> None:
    auth = FakeAuth()
    with pytest.raises(ValueError, match=r".") as error:
        auth.script(fault, **parameters)
    assert complaint in str(error.value)
    assert auth.faults == []


@pytest.mark.parametrize(
    ("fault", "parameters", "complaint"),
    [
        ("close", {"code": 1006}, "code: 1006 is given; allowed: 1000-1003, 1007-1014, 3000-4999"),
        ("close", {"reason": "é" * 62}, "reason: 124 bytes are given; allowed: at most 123"),
        ("close", {"after_messages": -1}, "after_messages: -1 is given"),
        ("drop", {"how": "gently"}, "how: 'gently' is given; allowed: rst, fin"),
        ("truncate", {"promised": 10, "sent": 10}, "promised: 10 is given; allowed: 11 or more"),
        ("burst", {}, "burst: parameter count is missing"),
        ("burst", {"count": 0}, "count: 0 is given"),
        ("refuse", {"status": 101}, "status: 101 is given"),
        ("freeze", {"connection": "c9"}, "connection: 'c9' is not open"),
        (
            "latency",
            {"connection": "c9", "seconds": 1},
            "the fault latency acts on requests, not on open connections; use route or user_id instead of connection",
        ),
        ("freeze", {"connection": "c9", "times": 2}, "leave out route, user_id and times"),
    ],
)
def test_studio_says_what_is_wrong_with_a_script(
    fault: str, parameters: dict[str, Any], complaint: str
) -> None:
    studio = FakeStudio()
    with pytest.raises(ValueError, match=r".") as error:
        studio.script(fault, **parameters)
    assert complaint in str(error.value)


def test_a_fault_can_be_an_object() -> None:
    auth = FakeAuth()
    scripted = auth.script(Latency(seconds=2), times=3)
    assert scripted.describe() == {
        "id": "f1",
        "fault": "latency",
        "route": "*",
        "user_id": None,
        "times": 3,
        "struck": 0,
        "parameters": {"seconds": 2, "jitter": 0.0},
    }
    with pytest.raises(
        ValueError, match="jitter: parameters of a fault object must be given when the object is made"
    ):
        auth.script(Latency(seconds=2), jitter=1)


def test_the_number_of_faults_is_limited_and_spent_ones_make_room() -> None:
    auth = FakeAuth()
    spent = auth.script("reset", times=1)
    spent.struck = 1
    for _ in range(1000):
        auth.script("reset")
    assert spent.id not in {fault["id"] for fault in auth.faults}
    with pytest.raises(ValueError, match="1000 faults are scripted"):
        auth.script("reset")


def test_every_fault_is_scripted_by_the_name_of_its_file() -> None:
    assert {kind.__module__.rsplit(".", 1)[1]: name for name, kind in STUDIO_FAULTS.items()} == {
        name: name for name in STUDIO_FAULTS
    }
