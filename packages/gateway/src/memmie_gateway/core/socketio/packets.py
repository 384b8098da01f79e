"""The packets of Engine.IO 4 and Socket.IO 5, with the codecs of python-engineio and python-socketio.

The usual packets, which are nearly all, are read and written without the codecs, because these take several times as long.
Tests compare the two.

Their data stays text here, because each kind of packet has its own rules for it (see `translation`).

    https://socket.io/docs/v4/engine-io-protocol, https://socket.io/docs/v4/socket-io-protocol
"""

from __future__ import annotations

import re
from typing import Any, Final

from engineio import packet as engineio_packet
from socketio import packet as socketio_packet

# Types of Engine.IO packets.
OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = range(7)

# Types of Socket.IO packets.
CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)

SEPARATOR: Final = "\x1e"
"""Stands between the packets of one HTTP body."""

_MESSAGE: Final = str(MESSAGE)
_EVENT: Final = re.compile(rf"{EVENT}([0-9]{{0,15}})(?=\[)")

DEFAULT_NAMESPACE: Final = "/"


class PacketError(ValueError):
    """A packet is invalid, or not allowed at this moment; the message is for the client."""


class _Text:
    """Stands in for the codecs' JSON: the data of a packet stays text."""

    @staticmethod
    def loads(text: str) -> str:
        return text

    @staticmethod
    def dumps(text: str, **_: Any) -> str:
        return text


class EnginePacket(engineio_packet.Packet):  # type: ignore[misc] # it ships no types
    """An Engine.IO packet.

    Attributes:
        packet_type: one of the types above.
        binary: whether it is a binary message.
        data: its text; the bytes of a binary message.
    """

    json = _Text
    packet_type: int
    binary: bool
    data: str | bytes


class SocketPacket(socketio_packet.Packet):  # type: ignore[misc] # it ships no types
    """A Socket.IO packet.

    Attributes:
        packet_type: one of the types above.
        namespace: the namespace, None for the default one.
        id: the number of the acknowledgement that its sender wants, or that this is; None for none.
        attachment_count: number of binary messages that belong to it and follow it.
        data: its JSON text, None for none.
    """

    json = _Text
    packet_type: int
    namespace: str | None
    id: int | None
    attachment_count: int
    data: str | None


def read_engine_packet(encoded: str | bytes) -> EnginePacket:
    """Read an Engine.IO packet, which is one WebSocket message or one part of an HTTP body.

    Raises:
        PacketError: it is invalid.
    """
    try:
        packet = EnginePacket(encoded_packet=encoded)
    except ValueError:  # also binascii.Error
        raise PacketError("this is not an Engine.IO packet") from None
    if not OPEN <= packet.packet_type <= NOOP:
        raise PacketError("this type of Engine.IO packet does not exist")
    return packet


def message_text(encoded: str | bytes) -> str | None:
    """Return the text of an Engine.IO packet that is a text message; None for any other, which `read_engine_packet` reads."""
    return encoded[1:] if isinstance(encoded, str) and encoded[:1] == _MESSAGE else None


def read_event(text: str) -> tuple[int | None, str] | None:
    """Read a Socket.IO packet that is an EVENT of the default namespace with an array.

    Returns:
        The number of the acknowledgement that its sender wants, None for none, and its JSON text; None for any other
        packet, which `read_socket_packet` reads.
    """
    found = _EVENT.match(text)
    if found is None:
        return None
    number = found[1]
    return int(number) if number else None, text[found.end() :]


def read_socket_packet(text: str) -> SocketPacket:
    """Read a Socket.IO packet, which is the text of an Engine.IO message.

    Raises:
        PacketError: it is invalid.
    """
    try:
        packet = SocketPacket(encoded_packet=text or "-")
    except ValueError:
        raise PacketError("this is not a Socket.IO packet") from None
    if not CONNECT <= packet.packet_type <= BINARY_ACK:
        raise PacketError("this type of Socket.IO packet does not exist")
    return packet


def engine_message(
    kind: int, data: str | None = None, namespace: str | None = None, number: int | None = None
) -> str:
    """Build an Engine.IO message with a Socket.IO packet in it.

    Args:
        kind: the type of the Socket.IO packet.
        data: its JSON text.
        namespace: the namespace; None for the default one.
        number: that of the acknowledgement, None for none.
    """
    if namespace is None:
        return f"{_MESSAGE}{kind}{'' if number is None else number}{data or ''}"
    encoded: str = SocketPacket(kind, data, namespace, number, binary=False).encode()
    return f"{_MESSAGE}{encoded}"


def split_payload(body: str, most: int) -> list[str]:
    """Return the packets of an HTTP body, still encoded.

    Args:
        body: the body.
        most: maximum number of packets.

    Raises:
        PacketError: there are too many, or one is empty.
    """
    packets = body.split(SEPARATOR, most)  # one that is too long has the rest, which would take long to split
    if len(packets) > most or not all(packets):
        raise PacketError(f"a body must have 1 to {most} packets")
    return packets


def polled(packet: str | bytes) -> str:
    """Return an encoded packet as it is written in an HTTP body: a binary one in base64."""
    if isinstance(packet, str):
        return packet
    encoded: str = EnginePacket(MESSAGE, packet).encode(b64=True)
    return encoded
