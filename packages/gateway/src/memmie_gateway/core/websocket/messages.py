"""Whole messages: read from valid frames, and written as one frame each (RFC 6455 §5.4, §5.6).

A plain session forwards frames and needs no messages. They are needed where the gateway translates between two protocols.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from websockets.frames import apply_mask  # type: ignore[attr-defined] # in C where it is compiled, otherwise in Python

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2


class Message(NamedTuple):
    """A data message, a control frame, or the mark of a fragment that completes no message.

    Attributes:
        opcode: that of its first frame; CONTINUATION for the mark, because each fragment costs work.
        payload: that of all its frames, unmasked; empty for the mark.
    """

    opcode: int
    payload: bytes


_FRAGMENT: Final = Message(CONTINUATION, b"")


class MessageReader:
    """Reads messages from frames that a `FrameScanner` has already checked.

    Args:
        masked: whether the frames are masked, as those of a client.
    """

    __slots__ = ("_buffer", "_fragmented", "_fragments", "_key_bytes", "_needed", "_opcode")

    def __init__(self, *, masked: bool) -> None:
        self._key_bytes = 4 if masked else 0
        self._buffer = bytearray()  # an incomplete frame
        self._needed = 0  # the bytes of this frame, as far as they are known
        self._fragmented = False  # a fragmented message is incomplete
        self._fragments: list[bytes] = []  # its payloads, without empty ones
        self._opcode = CONTINUATION  # of the incomplete fragmented message

    def __repr__(self) -> str:
        return f"<MessageReader buffered={len(self._buffer)}>"

    @property
    def inside_message(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._buffer) or self._fragmented

    def feed(self, data: bytes, most: int = 0) -> list[Message]:
        """Process the next bytes of the stream, and return the messages that are now complete.

        Args:
            data: the bytes, b"" for none.
            most: maximum number of messages; the next call returns further ones. 0 means no limit.
        """
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        messages: list[Message] = []
        key_bytes = self._key_bytes
        at, end = 0, len(data)
        needed = 0
        while end - at > 1:
            length = data[at + 1] & 0x7F
            start = at + 2
            if length > 125:
                size = 2 if length == 126 else 8
                if end - start < size:
                    break
                length = int.from_bytes(data[start : start + size], "big")
                start += size
            start += key_bytes
            after = start + length
            if after > end:
                needed = after - at
                break
            payload = data[start:after]
            if key_bytes:
                payload = apply_mask(payload, data[start - 4 : start])
            messages.append(self._take(data[at], payload))
            at = after
            if len(messages) == most:
                break
        if at < end:
            self._buffer += data[at:]
            self._needed = needed
        return messages

    def _take(self, first_byte: int, payload: bytes) -> Message:
        """Take a frame; return the message that it completes, or a CONTINUATION if it is only a part of one."""
        opcode, final = first_byte & 0x0F, first_byte & 0x80
        if opcode >= 0x8 or (final and opcode):
            return Message(opcode, payload)
        if payload:
            self._fragments.append(payload)
        self._opcode = opcode or self._opcode
        if not final:
            self._fragmented = True
            return _FRAGMENT
        self._fragmented = False
        message = Message(self._opcode, b"".join(self._fragments))
        self._fragments.clear()
        return message


def message_frame(opcode: int, payload: bytes, key: bytes | None) -> bytes:
    """Build the frame of a whole message.

    Args:
        opcode: TEXT or BINARY.
        payload: the payload.
        key: the 4-byte masking key for a frame to a server; None for a frame to a client.
    """
    length = len(payload)
    mask_bit = 0 if key is None else 0x80
    if length < 126:
        head = bytes((0x80 | opcode, mask_bit | length))
    elif length < 1 << 16:
        head = bytes((0x80 | opcode, mask_bit | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, mask_bit | 127)) + length.to_bytes(8, "big")
    return head + payload if key is None else head + key + apply_mask(payload, key)
