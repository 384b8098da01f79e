"""Whether the sessions of a backend bring nothing any more."""

from __future__ import annotations

from memmie_gateway.core.sessions.silence import LOOKS, Silence


def looked(times: int) -> Silence:
    """Return a silence that began when 100 bytes had come, after so many looks."""
    silence = Silence(100)
    for _ in range(times):
        silence.look()
    return silence


def test_it_has_to_last() -> None:
    assert not looked(0).long_enough
    assert not looked(LOOKS - 1).long_enough
    assert looked(LOOKS).long_enough


def test_one_byte_ends_it_for_good() -> None:
    silence = looked(LOOKS)
    assert silence.lasts(100)
    assert not silence.lasts(101)
    assert not silence.lasts(101)
    assert not silence.long_enough
    assert repr(silence) == f"<Silence looks={LOOKS} broken=True>"


def test_a_byte_that_came_late_counts_too() -> None:
    silence = looked(3)
    assert not silence.lasts(99)  # whatever has changed
    assert not silence.lasts(100)
