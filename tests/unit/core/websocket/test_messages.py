"""Messages, read from frames that are cut anywhere, and written as one frame each."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.websocket.control_frames import PING, control_frame
from memmie_gateway.core.websocket.messages import (
    BINARY,
    CONTINUATION,
    TEXT,
    Message,
    MessageReader,
    message_frame,
)

KEY = b"\x01\x02\x03\x04"


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_what_is_written_is_read(key: bytes | None, size: int) -> None:
    frame = message_frame(BINARY, b"x" * size, key)
    reader = MessageReader(masked=key is not None)
    assert reader.feed(frame) == [Message(BINARY, b"x" * size)]
    assert not reader.inside_message


def test_the_frames_are_those_of_the_rfc() -> None:
    """RFC 6455 §5.7."""
    assert message_frame(TEXT, b"Hello", None) == b"\x81\x05Hello"
    key = b"\x37\xfa\x21\x3d"
    assert message_frame(TEXT, b"Hello", key) == b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 3) | st.sampled_from([125, 126, 300]), min_size=1, max_size=6),
    st.data(),
)
def test_cuts_do_not_matter(sizes: list[int], data: st.DataObject) -> None:
    messages = [Message(TEXT if size % 2 else BINARY, b"y" * size) for size in sizes]
    stream = b"".join(message_frame(*message, KEY) for message in messages)
    reader = MessageReader(masked=True)
    read: list[Message] = []
    at = 0
    while at < len(stream):
        end = data.draw(st.integers(at + 1, len(stream)))
        read += [message for message in reader.feed(stream[at:end]) if message.opcode]
        at = end
    assert read == messages
    assert not reader.inside_message


def test_a_length_that_is_cut_is_read_when_it_is_complete() -> None:
    frame = message_frame(BINARY, b"y" * 126, None)
    reader = MessageReader(masked=False)
    assert reader.feed(frame[:3]) == []
    assert reader.feed(frame[3:]) == [Message(BINARY, b"y" * 126)]


def test_fragments_are_joined_and_control_frames_pass_between_them() -> None:
    reader = MessageReader(masked=False)
    fragment = Message(CONTINUATION, b"")
    assert reader.feed(b"\x01\x02ab" + control_frame(PING, b"p", key=None)) == [fragment, Message(PING, b"p")]
    assert reader.inside_message
    assert reader.feed(b"\x00\x01c") == [fragment]
    assert reader.feed(b"\x80\x01d\x82\x01e") == [Message(TEXT, b"abcd"), Message(BINARY, b"e")]
    assert not reader.inside_message


def test_empty_fragments_are_counted_and_not_kept() -> None:
    reader = MessageReader(masked=False)
    assert reader.feed(b"\x01\x00" + b"\x00\x00" * 99) == [Message(CONTINUATION, b"")] * 100
    assert reader.inside_message
    assert reader._fragments == []
    assert reader.feed(b"\x80\x00") == [Message(TEXT, b"")]
    assert not reader.inside_message


def test_a_long_frame_is_joined_only_when_it_is_complete() -> None:
    frame = message_frame(TEXT, b"z" * 1000, None)
    reader = MessageReader(masked=False)
    for at in range(0, 900, 100):
        assert reader.feed(frame[at : at + 100]) == []
        assert repr(reader) == f"<MessageReader buffered={at + 100}>"
    assert reader.feed(frame[900:]) == [Message(TEXT, b"z" * 1000)]


def test_a_caller_may_take_a_limited_number() -> None:
    reader = MessageReader(masked=False)
    frames = [message_frame(TEXT, str(n).encode(), None) for n in range(5)]
    assert reader.feed(b"".join(frames), 2) == [Message(TEXT, b"0"), Message(TEXT, b"1")]
    assert reader.feed(b"", 2) == [Message(TEXT, b"2"), Message(TEXT, b"3")]
    assert reader.feed(b"", 2) == [Message(TEXT, b"4")]
    assert reader.feed(b"", 2) == []
