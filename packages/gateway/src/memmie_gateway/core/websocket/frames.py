"""Frame headers: where frames begin and end in a stream of bytes (RFC 6455 §5.2).

The gateway forwards bytes. It reads the *headers* on the way, never the payload of a data frame, and so knows
how many messages passed, whether one is too big, whether a peer breaks the protocol, and whether the stream
stands between two frames, which is the only place where the gateway may insert a frame of its own.

Two kinds of bytes are held back until more arrive: a header whose length field is not complete, and a control
frame that is not complete (at most 131 bytes). So control frames are seen whole or not at all, and no byte of
a frame is forwarded before the frame was judged.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

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
"""All reserved bits, on any frame: what an extension that is not known here may use."""


class Violation(enum.IntEnum):
    """What is wrong with a frame. The values follow the kinds of frames below in one table."""

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


# What a first header byte announces, given whether a fragmented message is under way.
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
"""All a first byte can mean: by negotiated reserved bits, by "a fragmented message is under way", by byte."""


class CloseFrame(NamedTuple):
    """A Close frame as it stood on the wire.

    Attributes:
        code: its close code, or 1005 where it carried none (RFC 6455 §7.1.5).
        reason: its reason, "" where it carried none.
        raw: the frame itself, header and masking included, to be forwarded as it is.
    """

    code: int
    reason: str
    raw: bytes


class FrameScanner:
    """Reads the frame headers of one direction of one connection.

    Args:
        masked: True for the stream of a client, whose frames must be masked; False for that of a server
            (RFC 6455 §5.1).
        max_message_bytes: the largest message allowed, in bytes of payload over all its fragments, as they
            are on the wire (compressed, where permessage-deflate is in use). At least 125.
        reserved_bits: the RSV bits that negotiated extensions may use, as they stand in the first header byte.

    Attributes:
        received: bytes seen.
        control_bytes: how many of them belonged to control frames.
        messages: data messages whose last byte was seen.
        extra_frames: frames that were not the end of a message: fragments but the last, and control frames.
        remaining: bytes of the current frame still to come. 0 means that what `scan` has returned so far
            ends between two frames.
        cut_bytes: bytes taken out of the stream: the pongs to the gateway's own pings.
        ended: a Close frame or a violation was seen (`take_close`, `take_violation`), or `finish` was called: no
            further frame is forwarded.
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
        self._overhead = 6 if masked else 2  # header bytes of a small frame, masking key included
        self._max_message_bytes = max_message_bytes
        self._message_bytes = 0  # of the fragmented message under way
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
        """Take the next bytes of the stream and return those that may be forwarded now.

        That is nearly always `data` itself, the same object. The Close frame is not among what is returned
        (see `take_close`), nor is anything after it or after a violation.
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
            # Nearly every frame is a message of its own, below 64 KiB. (A wrong mask bit makes the length > 127.)
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
        """Whether what `scan` has returned so far ends between two messages, and nothing is held back.

        False once the stream has ended, as no message follows.
        """
        return not (self.remaining or self._held) and self._kinds is self._tables[False]

    def finish(self) -> None:
        """Forward no further frame; the rest of one that is under way still is."""
        self.ended = True
        self._kinds = _NOTHING_MORE

    def expect_pong(self, payload: bytes) -> None:
        """Cut the next pong with this payload out of the stream: it answers a ping of the gateway's own."""
        self._expected_pong = payload

    def take_close(self) -> CloseFrame | None:
        """Return the Close frame that has ended the stream, the first time that this is called after it."""
        close, self._close = self._close, None
        return close

    def take_violation(self) -> Violation | None:
        """Return the violation that has ended the stream, the first time that this is called after it."""
        violation, self._violation = self._violation, None
        return violation

    def _scan_further(self, data: bytes, at: int) -> bytes:
        """Scan any frames, from the header at `at`, with everything that `scan` has no time for."""
        if self.ended:
            self.remaining = 0
            return data[:at]
        end = len(data)
        keep: list[bytes] = []  # what was found worth forwarding before `start`
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
                # The shortest form is the only one, and the highest bit is 0 (RFC 6455 §5.2).
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
        self.finish()
        self._close = CloseFrame(code, reason, frame)
        return b"".join((*keep, before))

    def _violate(self, violation: Violation, keep: list[bytes], before: bytes) -> bytes:
        self.finish()
        self._violation = violation
        return b"".join((*keep, before))


_NOTHING_MORE: Final = bytes([_CONTROL] * 256)
"""The table of a scanner that has ended: no byte is the start of a small message, so `scan` looks no further."""


def parse_close_payload(payload: bytes) -> tuple[Violation | None, int, str]:
    """Read an unmasked Close payload: what is wrong with it, its code, its reason (RFC 6455 §5.5.1)."""
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
    """Return how many bytes the frame at the start of `data` has in all, or None where its header is incomplete."""
    if len(data) < 2:
        return None
    length = data[1] & 0x7F
    size = {126: 2, 127: 8}.get(length, 0)
    if len(data) < 2 + size:
        return None
    if size:
        length = int.from_bytes(data[2 : 2 + size], "big")
    return 2 + size + (4 if data[1] & 0x80 else 0) + length
