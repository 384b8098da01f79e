"""Frame headers, as byte literals with their section of RFC 6455, cut at every offset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.websocket import frames
from memmie_gateway.core.websocket.control_frames import CLOSE, MAX_CONTROL_PAYLOAD, PING, PONG
from memmie_gateway.core.websocket.frames import RSV1, CloseFrame, FrameScanner, Violation

LIMIT = 70_000
KEY = b"\x37\xfa\x21\x3d"  # the key of the examples in RFC 6455 §5.7


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Forget the Close payloads that other tests of this process have parsed."""
    frames.parse_close_payload.cache_clear()


@dataclass
class Seen:
    """All that a scanner tells of a stream."""

    forwarded: bytes = b""
    messages: int = 0
    extra_frames: int = 0
    control_bytes: int = 0
    cut_bytes: int = 0
    violation: Violation | None = None
    close: CloseFrame | None = None
    between: set[int] = field(default_factory=lambda: {0}, compare=False)  # offsets in `forwarded`


def reference(data: bytes, *, masked: bool, limit: int = LIMIT, reserved: int = 0, pong: bytes = b"") -> Seen:
    """Parse a whole stream slowly, frame by frame, straight from RFC 6455 §5.2: what a scanner must tell of it."""
    seen = Seen()
    message: int | None = None  # bytes of the fragmented message under way
    while len(data) >= 2:
        final, rsv, opcode = data[0] >= 0x80, data[0] & 0x70, data[0] % 16
        has_mask, length = data[1] >= 0x80, data[1] % 128
        control = opcode >= 8
        violation = None
        if opcode not in (0, 1, 2, 8, 9, 10):
            violation = Violation.RESERVED_OPCODE
        elif rsv and reserved != 0x70 and (opcode not in (1, 2) or rsv & ~reserved):
            violation = Violation.RESERVED_BITS
        elif control and not final:
            violation = Violation.FRAGMENTED_CONTROL
        elif opcode == 0 and message is None:
            violation = Violation.STRAY_CONTINUATION
        elif opcode in (1, 2) and message is not None:
            violation = Violation.INTERRUPTED_MESSAGE
        elif has_mask is not masked:
            violation = Violation.WRONG_MASKING
        elif control and length > 125:
            violation = Violation.LONG_CONTROL
        if violation is not None:
            seen.violation = violation
            return seen
        header = 2
        if length > 125:
            header = 4 if length == 126 else 10
            if len(data) < header:
                return seen
            extended = int.from_bytes(data[2:header], "big")
            if extended < (126 if length == 126 else 65536) or extended >= 2**63:
                seen.violation = Violation.BAD_LENGTH
                return seen
            length = extended
        key = data[header : header + 4] if masked else bytes(4)
        header += 4 if masked else 0
        frame, whole = data[: header + length], len(data) >= header + length
        if control:
            if not whole:
                return seen
            payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(frame[header:]))
            seen.extra_frames += 1
            seen.control_bytes += len(frame)
            if opcode == 8:
                judge_close(seen, frame, payload)
                return seen
            if opcode == 10 and pong and payload == pong:
                pong = b""
                seen.cut_bytes += len(frame)
                frame = b""
        else:
            message = (message or 0) + length
            if message > limit:
                seen.violation = Violation.TOO_BIG
                return seen
            if not final:
                seen.extra_frames += 1
            else:
                message = None
                seen.messages += whole
        seen.forwarded += frame
        if whole:
            seen.between.add(len(seen.forwarded))
        data = data[header + length :]
    return seen


def judge_close(seen: Seen, frame: bytes, payload: bytes) -> None:
    """RFC 6455 §5.5.1 and §7.4, code by code."""
    codes = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, *range(3000, 5000)}
    if not payload:
        seen.close = CloseFrame(1005, "", frame)
        return
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or code not in codes:
        seen.violation = Violation.BAD_CLOSE
        return
    try:
        seen.close = CloseFrame(code, payload[2:].decode("utf-8"), frame)
    except UnicodeDecodeError:
        seen.violation = Violation.BAD_CLOSE_REASON


def scanner_for(*, masked: bool, limit: int = LIMIT, reserved: int = 0, pong: bytes = b"") -> FrameScanner:
    scanner = FrameScanner(masked=masked, max_message_bytes=limit, reserved_bits=reserved)
    scanner.expect_pong(pong)
    return scanner


def scan(scanner: FrameScanner, pieces: Iterable[bytes], between: set[int] | None = None) -> Seen:
    """Feed pieces; with `between`, hold `remaining` against it after each."""
    forwarded = []
    length = received = 0
    for piece in pieces:
        forwarded.append(scanner.scan(piece))
        length += len(forwarded[-1])
        received += len(piece)
        if between is not None:
            assert (length in between) is (scanner.remaining == 0)
        assert received == scanner.received
        assert (scanner._close is not None or scanner._violation is not None) is scanner.ended
        assert len(scanner._held) <= 131  # 2 + 4 + 125: bounded memory
    return Seen(
        b"".join(forwarded),
        scanner.messages,
        scanner.extra_frames,
        scanner.control_bytes,
        scanner.cut_bytes,
        scanner.take_violation(),
        scanner.take_close(),
    )


def cut(data: bytes, offsets: Iterable[int]) -> list[bytes]:
    """Cut at each offset (taken modulo the length); pieces may be empty."""
    marks = sorted({0, len(data), *(offset % (len(data) + 1) for offset in offsets)})
    return [data[a:b] for a, b in pairwise(marks)]


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and in two at every offset."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    yield from ([data[:i], data[i:]] for i in range(len(data) + 1))


def frame(first: int, payload: bytes, *, masked: bool) -> bytes:
    """Build a frame of any length, by hand (RFC 6455 §5.2)."""
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head = bytes((first, bit | len(payload)))
    elif len(payload) < 65536:
        head = bytes((first, bit | 126)) + len(payload).to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + len(payload).to_bytes(8, "big")
    if not masked:
        return head + payload
    pad = (KEY * (len(payload) // 4 + 1))[: len(payload)]
    body = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return head + KEY + body.to_bytes(len(payload), "big")


# Good streams.

HELLO = b"\x81\x05Hello"  # §5.7, a single-frame unmasked text message
MASKED_HELLO = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"  # §5.7, the same, masked


@pytest.mark.parametrize(
    ("masked", "stream", "messages", "extra_frames", "control_bytes"),
    [
        pytest.param(False, b"", 0, 0, 0, id="nothing"),
        pytest.param(False, HELLO, 1, 0, 0, id="§5.7 unmasked text"),
        pytest.param(True, MASKED_HELLO, 1, 0, 0, id="§5.7 masked text"),
        pytest.param(False, b"\x01\x03Hel\x80\x02lo", 1, 1, 0, id="§5.7 fragmented text"),
        pytest.param(False, b"\x89\x05Hello", 0, 1, 7, id="§5.7 ping"),
        pytest.param(True, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 0, 1, 11, id="§5.7 masked pong"),
        pytest.param(False, b"\x82\x7e\x01\x00" + bytes(256), 1, 0, 0, id="§5.7 256 bytes binary"),
        pytest.param(True, b"\x82\xfe\x00\x7e" + KEY + bytes(126), 1, 0, 0, id="§5.2 shortest 16-bit length"),
        pytest.param(False, b"\x81\x00\x82\x00", 2, 0, 0, id="§5.6 empty messages"),
        pytest.param(True, b"\x81\x80" + KEY + b"\x82\x80" + KEY, 2, 0, 0, id="§5.3 empty masked messages"),
        pytest.param(
            False, b"\x01\x01a\x89\x00\x00\x01b\x8a\x01p\x80\x01c", 1, 4, 5, id="§5.4 control frames between"
        ),
        pytest.param(False, b"\x01\x00\x00\x00\x80\x00\x81\x00", 2, 2, 0, id="§5.4 empty fragments"),
        pytest.param(False, b"\x8a\x7d" + bytes(125), 0, 1, 127, id="§5.5 longest control frame"),
    ],
)
def test_good_frames_pass_unchanged_at_every_cut(
    masked: bool,  # noqa: FBT001 - a column of the table
    stream: bytes,
    messages: int,
    extra_frames: int,
    control_bytes: int,
) -> None:
    expected = Seen(stream, messages, extra_frames, control_bytes)
    between = reference(stream, masked=masked).between
    for pieces in every_cut(stream):
        assert expected == scan(scanner_for(masked=masked), pieces, between)


def test_64_kib_in_a_64_bit_length() -> None:
    stream = b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + bytes(65536)  # §5.7
    for offset in (*range(12), 65535, 65545, 65546):
        assert Seen(stream, messages=1) == scan(scanner_for(masked=False), cut(stream, [offset]))


def test_a_chunk_of_whole_messages_is_returned_as_the_same_object() -> None:
    stream = MASKED_HELLO * 3 + frame(0x82, bytes(300), masked=True)
    assert scanner_for(masked=True).scan(stream) is stream


def test_reserved_bits_pass_where_an_extension_was_negotiated() -> None:
    stream = b"\xc1\x02\xca\x00\x41\x01a\x80\x01b"  # RFC 7692 §7.2.3: RSV1 on the first frame alone
    assert Seen(stream, messages=2, extra_frames=1) == scan(
        scanner_for(masked=False, reserved=RSV1), [stream]
    )


@pytest.mark.parametrize("size", [124, 125])
def test_a_limit_below_a_control_frame_is_refused(size: int) -> None:
    if size < MAX_CONTROL_PAYLOAD:
        with pytest.raises(ValueError, match="max_message_bytes is 124, must be 125 or more"):
            FrameScanner(masked=True, max_message_bytes=size)
    else:
        FrameScanner(masked=True, max_message_bytes=size)


# Bad streams.

_500 = b"\x7e\x01\xf4" + bytes(500)  # a length field and its payload


@pytest.mark.parametrize(
    ("violation", "before", "offence", "options"),
    [
        *[
            pytest.param(Violation.RESERVED_OPCODE, b"", bytes((first, 0)), {}, id=f"§5.2 opcode {first:#x}")
            for first in (0x83, 0x87, 0x8B, 0x8F)
        ],
        *[
            pytest.param(
                Violation.RESERVED_BITS, b"", bytes((first, 0)), {}, id=f"§5.2 reserved bit {first:#x}"
            )
            for first in (0xC1, 0xA1, 0x91, 0xC9)
        ],
        pytest.param(Violation.RESERVED_BITS, b"", b"\xa1\x00", {"reserved": RSV1}, id="§5.2 another bit"),
        pytest.param(
            Violation.RESERVED_BITS, b"", b"\xc9\x00", {"reserved": RSV1}, id="RFC 7692 §6.1 RSV1 on a ping"
        ),
        pytest.param(
            Violation.RESERVED_BITS,
            b"\x41\x01a",
            b"\xc0\x01b",
            {"reserved": RSV1},
            id="RFC 7692 §6.1 RSV1 on a continuation",
        ),
        pytest.param(Violation.FRAGMENTED_CONTROL, b"", b"\x09\x00", {}, id="§5.5 fragmented ping"),
        pytest.param(Violation.LONG_CONTROL, b"", b"\x89\x7e\x00\x7e", {}, id="§5.5 ping of 126 bytes"),
        pytest.param(Violation.LONG_CONTROL, b"", b"\x88\x7f", {}, id="§5.5 close with a 64-bit length"),
        pytest.param(Violation.STRAY_CONTINUATION, b"", b"\x80\x01x", {}, id="§5.4 last fragment of nothing"),
        pytest.param(Violation.STRAY_CONTINUATION, b"", b"\x00\x01x", {}, id="§5.4 fragment of nothing"),
        pytest.param(
            Violation.STRAY_CONTINUATION, b"\x01\x00\x80\x00", b"\x80\x00", {}, id="§5.4 after the last"
        ),
        pytest.param(Violation.INTERRUPTED_MESSAGE, b"\x01\x01a", b"\x81\x01b", {}, id="§5.4 whole inside"),
        pytest.param(Violation.INTERRUPTED_MESSAGE, b"\x02\x01a", b"\x02\x01b", {}, id="§5.4 first inside"),
        pytest.param(
            Violation.WRONG_MASKING, b"", b"\x81\x82" + KEY + b"hi", {}, id="§5.1 masked by a server"
        ),
        pytest.param(Violation.WRONG_MASKING, b"", b"\x81\xfe\x00\x7e", {}, id="§5.1 masked, 16-bit length"),
        pytest.param(Violation.WRONG_MASKING, b"", b"\x89\x80" + KEY, {}, id="§5.1 masked ping of a server"),
        pytest.param(
            Violation.BAD_LENGTH, b"", b"\x82\x7e\x00\x7d" + bytes(125), {}, id="§5.2 125 in 16 bits"
        ),
        pytest.param(
            Violation.BAD_LENGTH, b"", b"\x82\x7f" + b"\0\0\0\0\0\0\xff\xff", {}, id="§5.2 65535 in 64"
        ),
        pytest.param(Violation.BAD_LENGTH, b"", b"\x82\x7f\x80" + bytes(7), {}, id="§5.2 length 2^63"),
        pytest.param(Violation.BAD_LENGTH, b"", b"\x82\x7f" + b"\xff" * 8, {}, id="§5.2 length 2^64-1"),
        pytest.param(Violation.TOO_BIG, b"", b"\x82\x7f\x7f" + b"\xff" * 7, {}, id="§10.4 length 2^63-1"),
        pytest.param(Violation.TOO_BIG, b"", b"\x82\x7e\x03\xe9", {"limit": 1000}, id="§10.4 one above"),
        pytest.param(Violation.TOO_BIG, b"", b"\x02\x7e\x03\xe9", {"limit": 1000}, id="§10.4 first fragment"),
        pytest.param(
            Violation.TOO_BIG,
            b"\x02" + _500 + b"\x89\x00\x00" + _500,
            b"\x80\x01x",
            {"limit": 1000},
            id="§10.4 over all fragments",
        ),
        pytest.param(
            Violation.TOO_BIG,
            b"\x02" + _500,
            b"\x00\x7e\x01\xf5",
            {"limit": 1000},
            id="§10.4 middle fragment",
        ),
        pytest.param(Violation.BAD_CLOSE, b"", b"\x88\x01\x03", {}, id="§5.5.1 close with one byte"),
        *[
            pytest.param(
                Violation.BAD_CLOSE, b"", b"\x88\x02" + code.to_bytes(2, "big"), {}, id=f"§7.4.2 code {code}"
            )
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
        ],
        pytest.param(
            Violation.BAD_CLOSE_REASON, b"", b"\x88\x04\x03\xe8a\xff", {}, id="§5.5.1 reason is not UTF-8"
        ),
        pytest.param(
            Violation.BAD_CLOSE_REASON,
            b"",
            b"\x88\x03\x03\xe8\xc3",
            {},
            id="§5.5.1 reason cut inside a character",
        ),
    ],
)
def test_violations_let_pass_what_came_before(
    violation: Violation, before: bytes, offence: bytes, options: dict[str, int]
) -> None:
    lead = HELLO + before
    limit, reserved = options.get("limit", LIMIT), options.get("reserved", 0)
    stream = lead + offence + HELLO
    expected = reference(stream, masked=False, limit=limit, reserved=reserved)
    assert (violation, lead) == (expected.violation, expected.forwarded)
    cuts = every_cut(stream) if len(stream) < 200 else (cut(stream, range(i, i + 9)) for i in range(0, 60, 9))
    for pieces in cuts:
        assert expected == scan(scanner_for(masked=False, limit=limit, reserved=reserved), pieces)


def test_unmasked_frames_of_a_client_are_a_violation() -> None:
    for pieces in every_cut(MASKED_HELLO + HELLO):  # §5.1
        assert Seen(MASKED_HELLO, messages=1, violation=Violation.WRONG_MASKING) == scan(
            scanner_for(masked=True), pieces
        )


@pytest.mark.parametrize("size", [999, 1000])
def test_the_largest_message_passes_whole_and_in_fragments(size: int) -> None:
    whole = frame(0x82, bytes(size), masked=True)
    parts = frame(0x02, bytes(500), masked=True) + frame(0x80, bytes(size - 500), masked=True)
    stream = parts + whole + parts
    for pieces in ([stream], cut(stream, range(0, len(stream), 3))):
        assert Seen(stream, messages=3, extra_frames=2) == scan(scanner_for(masked=True, limit=1000), pieces)


# Close frames.


@pytest.mark.parametrize(
    ("raw", "masked", "code", "reason"),
    [
        pytest.param(b"\x88\x00", False, 1005, "", id="§7.1.5 without a code"),
        pytest.param(b"\x88\x02\x03\xe8", False, 1000, "", id="§5.5.1 with a code"),
        pytest.param(b"\x88\x05\x0f\xa1bye", False, 4001, "bye", id="§7.4.2 private code"),
        pytest.param(b"\x88\x04\x03\xf4\xc3\xa9", False, 1012, "é", id="§5.5.1 UTF-8 reason"),
        pytest.param(b"\x88\x84" + KEY + b"\x34\x12\x4e\x56", True, 1000, "ok", id="§5.3 masked"),
        pytest.param(b"\x88\x7d\x03\xe8" + b"x" * 123, False, 1000, "x" * 123, id="§5.5 longest"),
    ],
)
def test_a_close_frame_is_taken_out_and_ends_the_stream(
    raw: bytes,
    masked: bool,  # noqa: FBT001 - a column of the table
    code: int,
    reason: str,
) -> None:
    hello = MASKED_HELLO if masked else HELLO
    expected = Seen(hello, 1, 1, len(raw), close=CloseFrame(code, reason, raw))
    for pieces in every_cut(hello + raw + hello):
        assert expected == scan(scanner_for(masked=masked), pieces, {0, len(hello)})


def test_nothing_passes_after_the_end() -> None:
    scanner = scanner_for(masked=False)
    scanner.scan(b"\x88\x00")
    pieces = [HELLO, b"", b"\x81", b"\x05", b"Hello", b"\xff" * 1000, b"\x88", b"\x00"]
    assert [b""] * len(pieces) == [scanner.scan(piece) for piece in pieces]
    assert (scanner.messages, scanner.extra_frames) == (0, 1)


# Between messages.

FRAGMENTS = b"\x01\x01a\x00\x00\x80\x01b"  # RFC 6455 §5.4: "a", "" and "b" make one message


def test_between_messages_nothing_is_under_way_and_nothing_held_back() -> None:
    ping = b"\x89\x00"
    stream = HELLO + ping + FRAGMENTS
    scanner = scanner_for(masked=False)
    between = {0} if scanner.between_messages else set()
    for offset in range(len(stream)):
        scanner.scan(stream[offset : offset + 1])
        if scanner.between_messages:
            between.add(offset + 1)
    assert {0, len(HELLO), len(HELLO) + 2, len(stream)} == between
    scanner.scan(FRAGMENTS[:3] + ping)
    assert (scanner.remaining, scanner.between_messages) == (0, False)  # between frames, but inside a message
    scanner.scan(FRAGMENTS[3:])
    assert scanner.between_messages


def test_it_tells_how_many_bytes_are_held_back() -> None:
    scanner = scanner_for(masked=False)
    assert scanner.held_back == 0
    scanner.scan(b"\x89\x02a")
    assert (scanner.held_back, scanner.remaining) == (3, 0)
    scanner.scan(b"b")
    assert scanner.held_back == 0


def test_a_stream_that_has_ended_is_not_between_messages() -> None:
    scanner = scanner_for(masked=False)
    scanner.scan(b"\x88\x00")
    assert not scanner.between_messages


@pytest.mark.parametrize(
    ("stream", "close", "violation"),
    [
        (b"\x88\x02\x03\xe8", CloseFrame(1000, "", b"\x88\x02\x03\xe8"), None),
        (b"\x83\x00", None, Violation.RESERVED_OPCODE),
        (HELLO, None, None),
    ],
)
def test_the_end_is_taken_once(stream: bytes, close: CloseFrame | None, violation: Violation | None) -> None:
    scanner = scanner_for(masked=False)
    scanner.scan(stream)
    assert (close, violation) == (scanner.take_close(), scanner.take_violation())
    assert (scanner.take_close(), scanner.take_violation()) == (None, None)


# The gateway's own pings.


@pytest.mark.parametrize("masked", [False, True])
def test_the_expected_pong_is_cut_out_and_nothing_else(masked: bool) -> None:  # noqa: FBT001 - both directions
    def pong(payload: bytes) -> bytes:
        return frame(0x8A, payload, masked=masked)

    text, ping = frame(0x81, b"text", masked=masked), frame(0x89, b"mine", masked=masked)
    first, last = frame(0x01, b"a", masked=masked), frame(0x80, b"b", masked=masked)
    before = text + pong(b"") + pong(b"min") + pong(b"mine+") + ping + first
    stream = before + pong(b"mine") + last + pong(b"mine") + text
    expected = reference(stream, masked=masked, pong=b"mine")
    assert before + last + pong(b"mine") + text == expected.forwarded
    for pieces in every_cut(stream):
        scanner = scanner_for(masked=masked, pong=b"mine")
        assert expected == scan(scanner, pieces, expected.between)
        assert scanner._expected_pong == b""
        assert len(pong(b"mine")) == scanner.cut_bytes


def test_no_pong_is_cut_out_while_none_is_expected() -> None:
    stream = b"\x8a\x00\x8a\x04mine"
    assert stream == scanner_for(masked=False).scan(stream)


# Any stream.

SIZES = st.one_of(
    st.integers(0, 300),
    st.sampled_from([0, 1, 124, 125, 126, 127, 128]),
    st.sampled_from([65534, 65535, 65536, 65537]),
)


@st.composite
def streams(draw: st.DrawFn, *, masked: bool) -> tuple[bytes, int]:
    """A valid stream and how many messages are in it: fragments, control frames anywhere, maybe a Close."""
    stream = []

    def control_frames() -> None:
        for opcode, payload in draw(
            st.lists(st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)), max_size=2)
        ):
            stream.append(frame(0x80 | opcode, payload, masked=masked))

    messages = draw(
        st.lists(st.tuples(st.sampled_from([0x1, 0x2]), st.lists(SIZES, min_size=1, max_size=4)), max_size=5)
    )
    for opcode, sizes in messages:
        rsv = draw(st.sampled_from([0, RSV1]))
        control_frames()
        while sum(sizes) > LIMIT:
            sizes.remove(max(sizes))
        for index, size in enumerate(sizes):
            final = 0x80 if index == len(sizes) - 1 else 0
            first = final | (rsv | opcode if index == 0 else 0)
            stream.append(frame(first, b"\x5a" * size, masked=masked))
            if not final:
                control_frames()
    if draw(st.booleans()):
        stream.append(
            frame(0x80 | CLOSE, draw(st.sampled_from([b"", b"\x03\xe8", b"\x0f\xa0x"])), masked=masked)
        )
    return b"".join(stream), len(messages)


@pytest.mark.parametrize("masked", [False, True])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_valid_stream_passes_byte_for_byte(masked: bool, data: st.DataObject) -> None:  # noqa: FBT001 - both directions
    stream, messages = data.draw(streams(masked=masked))
    pieces = cut(stream, data.draw(st.lists(st.integers(0, 1 << 20), max_size=20)))
    expected = reference(stream, masked=masked, reserved=RSV1)
    scanner = scanner_for(masked=masked, reserved=RSV1)
    actual = scan(scanner, pieces, expected.between)
    assert expected == actual
    assert stream == actual.forwarded + (actual.close.raw if actual.close else b"")
    assert (messages, None, 0) == (actual.messages, actual.violation, scanner.remaining)


@settings(max_examples=100, deadline=None)
@given(
    heads=st.lists(
        st.tuples(
            st.sampled_from([0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0x41])
            | st.integers(0, 255),
            st.sampled_from([0, 1, 2, 125, 126, 127, 128, 129, 253, 254, 255]) | st.integers(0, 255),
            st.sampled_from([b"", b"\x00", b"\x00\x7e", b"\x03\xe8", b"mine", bytes(6) + b"\x01\x00"])
            | st.binary(max_size=12),
        ),
        max_size=8,
    ),
    tail=st.binary(max_size=40),
    offsets=st.lists(st.integers(0, 1000), max_size=10),
    masked=st.booleans(),
    reserved=st.sampled_from([0, RSV1, 0x70]),
    limit=st.sampled_from([125, 126, 300, LIMIT]),
    pong=st.sampled_from([b"", b"mine"]),
)
def test_garbage_never_raises_and_is_judged_as_by_the_reference(
    heads: list[tuple[int, int, bytes]],
    tail: bytes,
    offsets: list[int],
    masked: bool,  # noqa: FBT001 - drawn
    reserved: int,
    limit: int,
    pong: bytes,
) -> None:
    stream = b"".join(bytes((first, second)) + rest for first, second, rest in heads) + tail
    expected = reference(stream, masked=masked, limit=limit, reserved=reserved, pong=pong)
    scanner = scanner_for(masked=masked, limit=limit, reserved=reserved, pong=pong)
    assert expected == scan(scanner, cut(stream, offsets), expected.between)


@settings(max_examples=100, deadline=None)
@given(first=st.integers(0, 255), second=st.integers(0, 255), rest=st.binary(max_size=20))
def test_frame_length_agrees_with_the_header(first: int, second: int, rest: bytes) -> None:
    data = bytes((first, second)) + rest
    extended = {126: 2, 127: 8}.get(second % 128, 0)
    if len(rest) < extended:
        assert frames.frame_length(data) is None
    else:
        length = int.from_bytes(rest[:extended], "big") if extended else second % 128
        assert 2 + extended + (4 if second & 0x80 else 0) + length == frames.frame_length(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", None),
        (b"\x81", None),
        (b"\x81\x7e\x00", None),
        (b"\x82\x7f" + bytes(7), None),
        (HELLO, 7),
        (HELLO + HELLO, 7),
        (MASKED_HELLO, 11),
        (b"\x82\x7e\x01\x00", 260),
        (b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00", 65550),
    ],
)
def test_frame_length(data: bytes, expected: int | None) -> None:
    assert expected == frames.frame_length(data)


@pytest.mark.parametrize(
    "frame", [MASKED_HELLO, b"\x89\x85" + KEY + b"hello", b"\x82\xfe\x01\x00" + KEY + bytes(256)]
)
def test_what_belongs_to_a_frame_that_has_begun(frame: bytes) -> None:
    for size in range(1, len(frame)):
        scanner = scanner_for(masked=True)
        scanner.scan(MASKED_HELLO + frame[:size])
        assert scanner.under_way(frame[size:] + MASKED_HELLO) == (len(frame) - size, 1)
        scanner.scan(frame[size:] + MASKED_HELLO)
        assert scanner.under_way(MASKED_HELLO) == (0, 0)


LONG = b"\x82\xfe\x01\x00" + KEY + bytes(256)
LONGER = b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00" + KEY + bytes(1 << 16)


@pytest.mark.parametrize("frame", [MASKED_HELLO, LONG, LONGER])
def test_few_frames_fit_in_many_tokens(frame: bytes) -> None:
    scanner = scanner_for(masked=True)
    assert [scanner.fits(frame * 3, tokens) for tokens in (-1, 0, 3, 4)] == [False, False, False, True]
    assert scanner.fits(b"", 0)
    scanner.scan(frame[:14])
    assert scanner.fits(frame[14:], 0)
    assert not scanner.fits(frame[14:] + MASKED_HELLO, 1)


def test_what_is_not_obvious_does_not_fit() -> None:
    scanner = scanner_for(masked=True)
    assert not scanner.fits(MASKED_HELLO + b"\x82\xfe\x01", 100)
    scanner.scan(b"\x82\xfe\x01")
    assert not scanner.fits(LONG[3:], 100)


def test_a_fragment_is_counted_when_it_begins() -> None:
    scanner = scanner_for(masked=True)
    scanner.scan(b"\x01\x85" + KEY + b"he")
    assert (scanner.under_way(b"l"), scanner.extra_frames) == ((3, 0), 1)


def test_while_the_header_is_incomplete_everything_belongs_to_the_frame() -> None:
    scanner = scanner_for(masked=True)
    scanner.scan(b"\x82")
    assert scanner.under_way(b"\xfe") == (1, 1)
    assert scanner.under_way(b"\xfe\x01") == (2, 1)


# Frames of the gateway's own.


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"\x82\x05ab", "<FrameScanner open messages=0 remaining=3>"),
        (b"\x88\x00", "<FrameScanner closed messages=0 remaining=0>"),
        (HELLO + b"\x83\x00", "<FrameScanner RESERVED_OPCODE messages=1 remaining=0>"),
    ],
)
def test_repr_tells_the_state_and_no_payload(stream: bytes, expected: str) -> None:
    scanner = scanner_for(masked=False)
    scanner.scan(stream)
    assert expected == repr(scanner)


def test_the_counters_go_on_from_an_earlier_connection() -> None:
    earlier = FrameScanner(masked=False, max_message_bytes=1000)
    earlier.expect_pong(b"p")
    earlier.scan(b"\x81\x01a" + b"\x8a\x01p" + b"\x89\x00" + b"\x01\x01b")
    later = FrameScanner(masked=False, max_message_bytes=1000)
    later.count_on(earlier)
    later.scan(b"\x81\x01c" + b"\x89\x00")
    assert (later.messages, later.extra_frames) == (2, 4)
    assert (later.received, later.control_bytes, later.cut_bytes) == (16, 7, 3)
