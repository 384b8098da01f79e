"""When a forwarded request is late, and who is to blame."""

from __future__ import annotations

import math

from memmie_gateway.core.http.deadlines import Deadlines, Late


def deadlines() -> Deadlines:
    return Deadlines(body=20, idle=10, total=60, now=100)


def test_nothing_moves() -> None:
    late = deadlines()
    assert late.late(109.9) is None
    assert late.next_look() == 110
    assert late.late(110) is Late.SERVICE
    late.for_client = True
    assert late.late(110) is Late.CLIENT
    late.moved = 105
    assert (late.late(110), late.next_look()) == (None, 115)
    assert repr(late) == "<Deadlines idle since 105>"


def test_the_body_comes_too_slowly() -> None:
    late = deadlines()
    late.moved = 119
    assert late.next_look() == 120
    assert late.late(120) is Late.BODY
    late.body_complete = True
    assert (late.late(120), late.next_look()) == (None, 129)


def test_the_whole_takes_too_long() -> None:
    late = deadlines()
    late.body_complete = True
    late.moved = 159
    assert late.next_look() == 160
    assert late.late(160) is Late.TOTAL


def test_a_stream_of_events_may_be_silent_but_its_client_must_take_it() -> None:
    late = deadlines()
    late.body_complete = True
    late.stream()
    assert (late.late(10_000), late.next_look()) == (None, math.inf)
    late.for_client = True
    assert (late.late(110), late.next_look()) == (Late.CLIENT, 110)
