"""Bytes that wait, cut between two masked frames (RFC 6455 §5.2)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.websocket.held import SMALLEST_FRAME, HeldBytes, cut

EMPTY = b"\x89\x80mask"
HELLO = b"\x81\x85mask" + b"hello"
LONG = b"\x82\xfe\x00\x7emask" + bytes(126)
LONGER = b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00mask" + bytes(1 << 16)


@pytest.mark.parametrize("frame", [EMPTY, HELLO, LONG, LONGER])
def test_a_frame_ends_where_its_length_says(frame: bytes) -> None:
    assert cut(frame + HELLO, 0, 1) == (len(frame), 1)
    assert cut(HELLO + frame + HELLO, len(HELLO), 1) == (len(HELLO) + len(frame), 1)
    assert cut(frame * 3, 0, 5) == (3 * len(frame), 3)


@pytest.mark.parametrize("frame", [EMPTY, HELLO, LONG, LONGER])
def test_an_incomplete_frame_counts_and_ends_with_the_data(frame: bytes) -> None:
    for size in [*range(1, 15), len(frame) - 1]:
        part = frame[:size] if size < len(frame) else frame
        assert cut(part, 0, 5) == (len(part), 1)
        assert cut(EMPTY + part, 0, 5) == (len(EMPTY) + len(part), 2)


@pytest.mark.parametrize("frames", [0, -1])
def test_no_frame_is_nothing(frames: int) -> None:
    assert cut(HELLO, 0, frames) == (0, 0)
    assert cut(HELLO * 2, len(HELLO), frames) == (len(HELLO), 0)


def test_the_frame_under_way_may_be_longer_than_the_data() -> None:
    assert cut(HELLO, 100, 5) == (len(HELLO), 0)


def test_the_smallest_frame_is_the_smallest() -> None:
    assert cut(EMPTY * 10, 0, 10) == (10 * SMALLEST_FRAME, 10)


FRAMES = st.sampled_from([EMPTY, HELLO, LONG])


@settings(max_examples=100, deadline=None)
@given(
    frames=st.lists(FRAMES, min_size=1, max_size=20),
    part=st.integers(0, 10),
    shares=st.lists(st.integers(0, 5)),
)
def test_what_waits_is_taken_in_order_and_only_between_two_frames(
    frames: list[bytes], part: int, shares: list[int]
) -> None:
    data = b"".join(frames) + HELLO[:part]
    count = len(frames) + bool(part)
    held = HeldBytes(data, count)
    ends = [sum(map(len, frames[:number])) for number in range(len(frames) + 1)] + [len(data)]
    taken = b""
    for share in shares:
        taken += held.take(share)
        count -= min(count, share)
        assert held.frames == count
        assert len(taken) in ends
        assert len(held) == len(data) - len(taken)
    assert taken + held.take_all() == data
    assert (len(held), held.frames, held.take(5), held.take_all()) == (0, 0, b"", b"")


def test_all_that_waits_is_taken_at_once() -> None:
    held = HeldBytes(HELLO * 3, 3)
    assert held.take(1) == HELLO
    assert held.take_all() == HELLO * 2
    assert (len(held), held.frames) == (0, 0)


def test_repr_tells_no_payload() -> None:
    held = HeldBytes(HELLO * 3, 3)
    held.take(1)
    assert repr(held) == "<HeldBytes bytes=22 frames=2>"
    assert not HeldBytes()
