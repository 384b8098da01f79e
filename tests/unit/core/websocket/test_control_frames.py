"""The frames that the gateway makes (RFC 6455 §5.5), as byte literals."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.websocket import control_frames
from memmie_gateway.core.websocket.control_frames import CLOSE, PING, PONG
from memmie_gateway.core.websocket.frames import parse_close_payload

KEY = b"\x37\xfa\x21\x3d"  # the key of the examples in RFC 6455 §5.7


@pytest.mark.parametrize(
    ("opcode", "payload", "key", "expected"),
    [
        (PING, b"Hello", None, b"\x89\x05Hello"),  # §5.7
        (PONG, b"Hello", KEY, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),  # §5.7
        (CLOSE, b"", None, b"\x88\x00"),
        (CLOSE, b"\x03\xe8", KEY, b"\x88\x82" + KEY + b"\x34\x12"),
        (PING, bytes(125), None, b"\x89\x7d" + bytes(125)),
    ],
)
def test_control_frame(opcode: int, payload: bytes, key: bytes | None, expected: bytes) -> None:
    assert expected == control_frames.control_frame(opcode, payload, key=key)


def test_a_control_frame_is_not_made_too_long() -> None:
    with pytest.raises(ValueError, match="carries at most 125 bytes, not 126"):
        control_frames.control_frame(PING, bytes(126), key=None)


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (1000, "", b"\x03\xe8"),
        (4401, "token", b"\x11\x31token"),
        (1005, "nothing", b""),  # §7.4.1
        (1006, "", b""),
        (1015, "", b""),
        (0, "", b""),
        (1001, "x" * 200, b"\x03\xe9" + b"x" * 123),
        (1001, "x" + "é" * 100, b"\x03\xe9x" + "é".encode() * 61),  # 123 bytes
        (1001, "é" * 100, b"\x03\xe9" + "é".encode() * 61),  # 122: the half character is left out
    ],
)
def test_close_payload(code: int, reason: str, expected: bytes) -> None:
    assert expected == control_frames.close_payload(code, reason)


@given(code=st.integers(0, 65535), reason=st.text(max_size=150))
@settings(max_examples=100, deadline=None)
def test_a_close_payload_is_always_one_that_may_be_read(code: int, reason: str) -> None:
    payload = control_frames.close_payload(code, reason)
    violation, read_code, read_reason = parse_close_payload(payload)
    assert violation is None
    assert (code if control_frames.valid_close_code(code) else 1005) == read_code
    assert reason.startswith(read_reason)
    assert len(payload) <= 125


def test_close_codes_are_those_of_the_registry() -> None:
    expected = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}  # §7.4.1, §7.4.2, IANA
    assert expected == {code for code in range(65536) if control_frames.valid_close_code(code)}


def test_masking_twice_gives_the_payload_back() -> None:
    assert control_frames.mask(b"Hello", KEY) == b"\x7f\x9f\x4d\x51\x58"  # §5.7
    assert control_frames.mask(control_frames.mask(b"Hello", KEY), KEY) == b"Hello"
