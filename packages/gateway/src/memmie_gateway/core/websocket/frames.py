"""Frame headers: finds where frames begin and end in a stream of bytes (RFC 6455 §5.2).

The gateway forwards bytes. It parses only the frame *headers*, never the payload of a data frame. So it knows how many
messages have passed, whether one is too big, and whether a peer violates the protocol. It also knows whether the stream
is between two frames, which is the only place where it may insert a frame of its own.

Two kinds of bytes are held back until more bytes arrive: an incomplete length field with its header, and an incomplete
control frame (at most 131 bytes). So control frames are always processed whole, and no byte of a frame is forwarded
before the header of the frame was checked.
"""

from __future__ import annotations

import enum
import functools
from typing import Final

from memmie_gateway.core.record import record
from memmie_gateway.core.websocket.control_frames import (
    CLOSE,
    MAX_CONTROL_PAYLOAD,
    PONG,
    mask,
    valid_close_code,
)

RSV1: Final = 0x40
"""The bit of the first header byte that permessage-deflate uses (RFC 7692 §6)."""

ANY_RESERVED: Final = 0x70
"""All reserved bits, on any frame, because an unknown extension may use all of them."""


class Violation(enum.IntEnum):
    """The ways in which a frame can be invalid. The values continue those of the kinds of frames below, for one table."""

    RESERVED_OPCODE = 8
    RESERVED_BITS = 9
    FRAGMENTED_CONTROL = 10
    LONG_CONTROL = 11
    STRAY_CONTINUATION = 12
    INTERRUPTED_MESSAGE = 13
    WRONG_MASKING = 14
    BAD_LENGTH = 15
    BAD_CLOSE = 16
    BAD_CLOSE_REASON = 17
    TOO_BIG = 18


# The kinds of frames, from the first header byte and whether a fragmented message is incomplete.
_WHOLE: Final = 0  # a message in one frame
_FIRST: Final = 1  # the first fragment of a message
_MIDDLE: Final = 2  # neither the first nor the last
_LAST: Final = 3  # the last fragment
_CONTROL: Final = 4


def _kind(first_byte: int, *, in_message: bool, reserved_bits: int) -> int:
    final, reserved, opcode = first_byte & 0x80, first_byte & 0x70, first_byte & 0x0F
    if opcode > PONG or 0x2 < opcode < CLOSE:
        return Violation.RESERVED_OPCODE
    # permessage-deflate uses its bit on the first frame of a message only (RFC 7692 §6.1).
    if reserved & ~(reserved_bits if opcode in (0x1, 0x2) or reserved_bits == ANY_RESERVED else 0):
        return Violation.RESERVED_BITS
    if opcode >= CLOSE:
        return _CONTROL if final else Violation.FRAGMENTED_CONTROL
    if opcode == 0x0:
        if not in_message:
            return Violation.STRAY_CONTINUATION
        return _LAST if final else _MIDDLE
    if in_message:
        return Violation.INTERRUPTED_MESSAGE
    return _WHOLE if final else _FIRST


def _table(*, in_message: bool, reserved_bits: int) -> bytes:
    return bytes(_kind(b, in_message=in_message, reserved_bits=reserved_bits) for b in range(256))


_TABLES: Final = {
    reserved_bits: (
        _table(in_message=False, reserved_bits=reserved_bits),
        _table(in_message=True, reserved_bits=reserved_bits),
    )
    for reserved_bits in range(0, 0x80, 0x10)
}
"""Kinds of frames and violations: by reserved bits, by "a fragmented message is incomplete", by first byte."""


@record
class CloseFrame:
    """A received Close frame.

    Attributes:
        code: the close code, or 1005 if the frame has none (RFC 6455 §7.1.5).
        reason: the reason, "" if the frame has none.
        raw: the whole frame as received, including header and masking, for forwarding.
    """

    code: int
    reason: str
    raw: bytes


class FrameScanner:
    """Parses the frame headers of one direction of a connection.

    Args:
        masked: True for the stream from a client, because it must mask its frames; False for the stream from a server
            (RFC 6455 §5.1).
        max_message_bytes: the maximum size of a message: bytes of payload on the wire over all fragments, which means
            compressed if permessage-deflate is used. At least 125.
        reserved_bits: the RSV bits that negotiated extensions may use, at their position in the first header byte.

    Attributes:
        received: number of bytes received.
        control_bytes: number of these bytes in control frames.
        messages: number of complete data messages.
        extra_frames: number of frames that do not end a message: control frames, and all fragments except the last.
        remaining: bytes of the current frame that are still missing. 0 means that the output of `scan` so far ends
            between two frames.
        cut_bytes: bytes removed from the stream, which are the pongs that answer the gateway's own pings.
        ended: whether a Close frame or a violation was received (`take_close`, `take_violation`). Then no further frame
            is forwarded.
    """

    __slots__ = (
        "_close",
        "_expected_pong",
        "_held",
        "_kinds",
        "_mask_bit",
        "_max_message_bytes",
        "_message_bytes",
        "_overhead",
        "_pending",
        "_tables",
        "_violation",
        "control_bytes",
        "cut_bytes",
        "ended",
        "extra_frames",
        "messages",
        "received",
        "remaining",
    )

    def __init__(self, *, masked: bool, max_message_bytes: int, reserved_bits: int = 0) -> None:
        if max_message_bytes < MAX_CONTROL_PAYLOAD:
            raise ValueError(
                f"max_message_bytes is {max_message_bytes}, must be {MAX_CONTROL_PAYLOAD} or more"
            )
        self._tables = _TABLES[reserved_bits]
        self._kinds = self._tables[False]
        self._mask_bit = 0x80 if masked else 0
        self._overhead = 6 if masked else 2  # header bytes of a small frame, including the masking key
        self._max_message_bytes = max_message_bytes
        self._message_bytes = 0  # of the incomplete fragmented message
        self._held = b""
        self._pending = 0  # messages that end with the current frame: 0 or 1
        self._expected_pong = b""
        self._close: CloseFrame | None = None
        self._violation: Violation | None = None
        self.received = 0
        self.control_bytes = 0
        self.cut_bytes = 0
        self.messages = 0
        self.extra_frames = 0
        self.remaining = 0
        self.ended = False

    def __repr__(self) -> str:
        state = self._violation.name if self._violation is not None else "closed" if self.ended else "open"
        return f"<FrameScanner {state} messages={self.messages} remaining={self.remaining}>"

    def scan(self, data: bytes) -> bytes:
        """Process the next bytes of the stream, and return the bytes that may be forwarded now.

        This is usually `data` itself, the same object. The result never contains the Close frame (see `take_close`), nor
        any bytes after it or after a violation.
        """
        end = len(data)
        self.received += end
        if self._held:
            data = self._held + data
            self._held = b""
            end = len(data)
        messages = self.messages
        at = self.remaining
        if at:
            if at > end:
                self.remaining = at - end
                return data
            messages += self._pending
            self._pending = self.remaining = 0
        kinds = self._kinds
        mask_bit = self._mask_bit
        overhead = self._overhead
        while end - at > 1:
            length = data[at + 1] ^ mask_bit
            # Nearly every frame is a whole message below 64 KiB. (A wrong mask bit makes the length > 127.)
            if kinds[data[at]] == _WHOLE:
                if length < 126:
                    at += overhead + length
                    messages += 1
                    continue
                if length == 126 and end - at > 3:
                    length = data[at + 2] << 8 | data[at + 3]
                    if 125 < length <= self._max_message_bytes:
                        at += overhead + 2 + length
                        messages += 1
                        continue
            self.messages = messages
            return self._scan_further(data, at)
        self.messages = messages
        if at == end:
            return data
        if at > end:
            self.messages = messages - 1
            self._pending = 1
            self.remaining = at - end
            return data
        self._held = data[at:]
        return data[:at]

    @property
    def between_messages(self) -> bool:
        """Whether the output of `scan` so far ends between two messages, and no bytes are held back.

        False after the stream has ended, because no message follows.
        """
        return not (self.remaining or self._held) and self._kinds is self._tables[False]

    @property
    def held_back(self) -> int:
        """Number of bytes that are held back until more arrive."""
        return len(self._held)

    def fits(self, data: bytes, frames: int) -> bool:
        """Return whether fewer frames begin in the next bytes of the stream, `data`; False if this is not obvious."""
        at, end = self.remaining, len(data)
        while at < end:
            frames -= 1
            if frames < 1 or at + 3 >= end or self._held:
                return False
            length = data[at + 1] & 0x7F
            if length == 126:
                length = 2 + (data[at + 2] << 8 | data[at + 3])
            elif length == 127:
                length = 8 + int.from_bytes(data[at + 2 : at + 10], "big")
            at += self._overhead + length
        return True

    def under_way(self, data: bytes) -> tuple[int, int]:
        """Look at the frame that has begun, before the next bytes of the stream, `data`, are scanned.

        Returns:
            How many of the next bytes belong to this frame, which may be more than are there; and 1 if the frame is not in
            `messages` or `extra_frames` yet, otherwise 0.
        """
        if not self._held:
            return self.remaining, self._pending
        length = frame_length(self._held + data)
        return (len(data) if length is None else length - len(self._held)), 1

    def count_on(self, earlier: FrameScanner) -> None:
        """Continue the counters of an earlier connection of the same side."""
        self.received, self.control_bytes = earlier.received, earlier.control_bytes
        self.cut_bytes = earlier.cut_bytes
        self.messages, self.extra_frames = earlier.messages, earlier.extra_frames

    def expect_pong(self, payload: bytes) -> None:
        """Remove the next pong with this payload from the stream, because it answers the gateway's own ping."""
        self._expected_pong = payload

    def take_close(self) -> CloseFrame | None:
        """Return the Close frame that has ended the stream; later calls return None."""
        close, self._close = self._close, None
        return close

    def take_violation(self) -> Violation | None:
        """Return the violation that has ended the stream; later calls return None."""
        violation, self._violation = self._violation, None
        return violation

    def _scan_further(self, data: bytes, at: int) -> bytes:
        """Scan frames of every kind, starting with the header at `at`; `scan` handles only the usual kind."""
        if self.ended:
            return b""
        end = len(data)
        keep: list[bytes] = []  # the parts to forward before `start`
        start = 0
        self.remaining = 0
        while at < end:
            if end - at < 2:
                break
            kind = self._kinds[data[at]]
            if kind > _CONTROL:
                return self._violate(Violation(kind), keep, data[start:at])
            length = data[at + 1] ^ self._mask_bit
            after = at + self._overhead + length
            if length > 127:
                return self._violate(Violation.WRONG_MASKING, keep, data[start:at])
            if kind == _CONTROL:
                if length > MAX_CONTROL_PAYLOAD:
                    return self._violate(Violation.LONG_CONTROL, keep, data[start:at])
                if after > end:
                    break
                self.extra_frames += 1
                self.control_bytes += after - at
                opcode = data[at] & 0x0F
                if opcode == CLOSE:
                    return self._take_close(keep, data[start:at], data[at:after])
                expected = self._expected_pong
                if opcode == PONG and expected and self._payload(data[at:after]) == expected:
                    self._expected_pong = b""
                    self.cut_bytes += after - at
                    keep.append(data[start:at])
                    start = after
                at = after
                continue
            if length > MAX_CONTROL_PAYLOAD:
                size = 2 if length == 126 else 8
                if end - at < 2 + size:
                    break
                length = int.from_bytes(data[at + 2 : at + 2 + size], "big")
                # Only the shortest form is allowed, and the highest bit must be 0 (RFC 6455 §5.2).
                if length < (126 if size == 2 else 1 << 16) or length >> 63:
                    return self._violate(Violation.BAD_LENGTH, keep, data[start:at])
                after = at + self._overhead + size + length
            so_far = length if kind in (_WHOLE, _FIRST) else self._message_bytes + length
            if so_far > self._max_message_bytes:
                return self._violate(Violation.TOO_BIG, keep, data[start:at])
            ends_message = kind in (_WHOLE, _LAST)
            self._message_bytes = 0 if ends_message else so_far
            self._kinds = self._tables[not ends_message]
            if not ends_message:
                self.extra_frames += 1
            elif after > end:
                self._pending = 1
            else:
                self.messages += 1
            if after > end:
                self.remaining = after - end
            at = after
        if at < end:
            self._held = data[at:]
        return b"".join((*keep, data[start : min(at, end)]))

    def _payload(self, frame: bytes) -> bytes:
        """Return the payload of a small, complete frame, unmasked."""
        payload = frame[self._overhead :]
        return mask(payload, frame[2:6]) if self._mask_bit else payload

    def _take_close(self, keep: list[bytes], before: bytes, frame: bytes) -> bytes:
        payload = self._payload(frame)
        violation, code, reason = parse_close_payload(payload)
        if violation is not None:
            return self._violate(violation, keep, before)
        self._end()
        self._close = CloseFrame(code, reason, frame)
        return b"".join((*keep, before))

    def _end(self) -> None:
        self.ended = True
        self._kinds = _NOTHING_MORE

    def _violate(self, violation: Violation, keep: list[bytes], before: bytes) -> bytes:
        self._end()
        self._violation = violation
        return b"".join((*keep, before))


_NOTHING_MORE: Final = bytes([_CONTROL] * 256)
"""The table after the end: no first byte means a whole message, so `scan` always calls `_scan_further`."""


@functools.lru_cache(maxsize=64)  # nearly all Close frames have one of a few payloads
def parse_close_payload(payload: bytes) -> tuple[Violation | None, int, str]:
    """Parse an unmasked Close payload; return its violation or None, its code and its reason (RFC 6455 §5.5.1)."""
    if not payload:
        return None, 1005, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not valid_close_code(code):
        return Violation.BAD_CLOSE, 1005, ""
    try:
        return None, code, payload[2:].decode()
    except UnicodeDecodeError:
        return Violation.BAD_CLOSE_REASON, 1005, ""


def frame_length(data: bytes) -> int | None:
    """Return the total length of the frame at the start of `data`, or None if its header is incomplete."""
    if len(data) < 2:
        return None
    length = data[1] & 0x7F
    size = {126: 2, 127: 8}.get(length, 0)
    if len(data) < 2 + size:
        return None
    if size:
        length = int.from_bytes(data[2 : 2 + size], "big")
    return 2 + size + (4 if data[1] & 0x80 else 0) + length
