"""Connections that have just ended."""

from __future__ import annotations

from memmie_gateway.core.socketio.ended_sids import MOST, REQUESTS, SECONDS, EndedSids


def test_a_connection_has_some_late_requests_for_some_time() -> None:
    ended = EndedSids()
    ended.add("a", 5)
    ended.add("b", 5)
    assert [ended.take("a", 5) for _ in range(REQUESTS + 1)] == [True] * REQUESTS + [False]
    assert not ended.take("b", 5 + SECONDS)
    assert not ended.take("never", 5)


def test_the_oldest_one_is_forgotten() -> None:
    ended = EndedSids()
    for number in range(MOST + 1):
        ended.add(f"sid {number}", 0)
    assert repr(ended) == f"<EndedSids {MOST}>"
    assert not ended.take("sid 0", 1)
    assert ended.take("sid 1", 1)
