"""The translation between a client that speaks Socket.IO and a backend with JSON messages (spec §4).

| client | backend |
|---|---|
| `emit(type, data)` | `{"type", "data"}` |
| `emit(type, data, acknowledge)` | `{"id", "type", "data"}` |
| `acknowledge(message)` | a message with this `id` |
| `on(type, data)` | `{"type", "data"}` with no `id`, or with another |
| `on("error", message)` | `{"type": "error", …}` |
| `on("message", message)` | any other message |

One object of this module knows what has passed on one connection. It does no I/O.
"""

from __future__ import annotations

import enum
import json
import math
from collections import OrderedDict
from typing import Any, Final, NamedTuple

from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.socketio import packets
from memmie_gateway.core.socketio.json_text import WINDOW, JsonError, Slices, array, member, members
from memmie_gateway.core.socketio.packets import PacketError, SocketPacket

MOST_AWAITED: Final = 1024
"""Maximum number of acknowledgements that one client awaits; beyond this, the oldest one is forgotten."""

LARGEST_CONNECT: Final = 64 * 1024
"""Maximum number of characters of the JSON of CONNECT that are read, because nobody pays for it yet."""

RESERVED: Final = frozenset({"connect", "connect_error", "disconnect", "disconnecting"})
"""Names of events by which a client library tells of its own connection."""

_TRANSLATED: Final = ("type", "data")
"""The members of a message that become the name and the argument of an event."""

RECONNECT_CODES: Final = frozenset({1001, 1006, 1008, 1011, 1012, 1013, 4408, 4429})
"""The close codes after which a client reconnects (docs/closing.md); its library does so if only the transport closes."""


class Kind(enum.Enum):
    """What a packet of a client means."""

    NOTHING = "nothing that anybody has to learn"
    CONNECT = "the client connects"
    MESSAGE = "a message for the backend"
    ANSWER = "the gateway answers"
    LEAVE = "the client leaves"

    __hash__ = object.__hash__  # by identity; that of Enum hashes the name, in Python


_NOTHING, _CONNECT, _MESSAGE, _ANSWER, _LEAVE = Kind  # looking up a member is a function call (CPython 3.11)


class Heard(NamedTuple):
    """What a packet of a client means.

    Attributes:
        kind: what it is.
        text: the token of CONNECT, "" for none; the message for the backend; or the Engine.IO packet for the client.
    """

    kind: Kind
    text: str = ""


class Translation:
    """Translates both directions of one connection.

    Args:
        prefix: begins the ids of messages on this connection. Backends may pass messages on with their ids, and so the ids
            of two connections must differ.
    """

    __slots__ = ("_attachments", "_awaited", "_prefix", "connected", "connecting")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._attachments = 0  # binary messages that still follow a refused packet
        self._awaited: OrderedDict[str, int] = (
            OrderedDict()
        )  # numbers of acknowledgements by the id of the message
        self.connecting = False
        self.connected = False

    def __repr__(self) -> str:
        return f"<Translation connected={self.connected} awaited={len(self._awaited)}>"

    # From the client.

    def hear(self, packet: str) -> Slices[Heard]:
        """Process a Socket.IO packet of the client.

        Raises:
            PacketError: the packet is invalid, or not allowed now.
        """
        if self.connected and not self._attachments and (event := packets.read_event(packet)) is not None:
            return (yield from self._hear_event(*event))
        read = packets.read_socket_packet(packet)
        kind = read.packet_type
        if self._attachments:
            raise PacketError("a binary message is missing")
        if read.namespace not in (None, packets.DEFAULT_NAMESPACE):
            return self._hear_elsewhere(read)
        if kind == packets.CONNECT:
            return (yield from self._hear_connect(read))
        if kind == packets.DISCONNECT:
            return Heard(_LEAVE)
        if not self.connected:
            raise PacketError("the client is not connected yet")
        if kind == packets.EVENT:
            return (yield from self._hear_event(read.id, read.data or ""))
        if kind == packets.BINARY_EVENT:
            self._attachments = read.attachment_count
            return self._refuse(read.id, "binary events are not supported")
        if kind == packets.ACK:
            return Heard(_NOTHING)  # nobody has asked for it
        raise PacketError("this packet is not for a client to send")

    def hear_binary(self) -> None:
        """Process a binary message of the client, which can only belong to a refused packet.

        Raises:
            PacketError: it does not.
        """
        if not self._attachments:
            raise PacketError("a binary message that belongs to no packet")
        self._attachments -= 1

    def _hear_elsewhere(self, read: SocketPacket) -> Heard:
        if read.packet_type == packets.CONNECT:
            answer = packets.engine_message(
                packets.CONNECT_ERROR, '{"message":"Invalid namespace"}', read.namespace
            )
            return Heard(_ANSWER, answer)
        if read.packet_type == packets.DISCONNECT:
            return Heard(_NOTHING)
        raise PacketError("the client is not connected to this namespace")

    def _hear_connect(self, read: SocketPacket) -> Slices[Heard]:
        if self.connecting:
            raise PacketError("the client is connected already")
        self.connecting = True
        if not read.data:
            return Heard(_CONNECT)
        if len(read.data) > LARGEST_CONNECT:
            return Heard(_CONNECT, read.data)  # which is refused like any other token that is too long
        try:
            token = yield from member(read.data, "token")
        except JsonError as error:
            raise PacketError(f"CONNECT: {error}") from None
        if token is None:
            return Heard(_CONNECT)
        if not isinstance(token, str):
            raise PacketError("CONNECT: the token must be a string")
        return Heard(_CONNECT, token)

    def _hear_event(self, number: int | None, text: str) -> Slices[Heard]:
        try:
            arguments = yield from array(text, most=2)
        except JsonError as error:
            raise PacketError(f"EVENT: {error}") from None
        if not arguments or not isinstance(arguments[0].value, str):
            raise PacketError("EVENT: the first item must be the name")
        if len(arguments) > 2:
            return self._refuse(number, "an event has only one argument besides its name")
        if len(text) > WINDOW:
            yield  # copying it takes long, too
        message_id = "" if number is None else f'"id":"{self._await(number)}",'
        if len(arguments) == 1:
            return Heard(_MESSAGE, f'{{{message_id}"type":{arguments[0].text}}}')
        return Heard(_MESSAGE, f'{{{message_id}"type":{arguments[0].text},"data":{arguments[1].text}}}')

    def _await(self, number: int) -> str:
        """Return the id of a message that wants an acknowledgement."""
        message_id = f"{self._prefix}{number}"
        self._awaited[message_id] = number
        if len(self._awaited) > MOST_AWAITED:
            self._awaited.popitem(last=False)
        return message_id

    def _refuse(self, number: int | None, words: str) -> Heard:
        """Answer a packet that cannot be translated with an error, as the backend answers a message."""
        message = _json({"type": "error", "error": words})
        return Heard(_ANSWER, _error(message) if number is None else _ack(number, message))

    # From the backend.

    def translate(self, text: str) -> Slices[str]:
        """Return the Engine.IO packet for a text message of the backend."""
        try:
            if self._awaited and self._prefix in text:
                number = self._answered((yield from member(text, "id")))
                if number is not None:
                    return _ack(number, text)
            message = yield from members(text, _TRANSLATED)
        except JsonError:
            return _event('"message"', (yield from _json_or_text(text)))
        name = message.get("type")
        if name is None or not isinstance(name.value, str) or name.value in RESERVED:
            return _event('"message"', text)
        if name.value == "error":
            return _error(text)
        data = message.get("data")
        if len(text) > WINDOW:
            yield  # as above
        return _event(name.text, data.text if data is not None else "")

    def _answered(self, message_id: Any) -> int | None:
        """Return the number of the acknowledgement that a message with this id is, None for none."""
        return self._awaited.pop(message_id, None) if isinstance(message_id, str) else None

    # From the gateway.

    def accepted(self, sid: str) -> str:
        """Return the packet that tells the client that it is connected; events may pass from now on.

        Args:
            sid: the id of its socket, which is not that of the Engine.IO connection, and no secret.
        """
        self.connected = True
        return packets.engine_message(packets.CONNECT, _json({"sid": sid}))


def binary_event(payload: bytes) -> tuple[str, bytes]:
    """Return the Engine.IO packets for a binary message of the backend: the event `message`."""
    packet = f'{packets.MESSAGE}{packets.BINARY_EVENT}1-["message",{{"_placeholder":true,"num":0}}]'
    return packet, payload


def refused(error: RefusedError) -> str:
    """Return the packet that tells a client why it is refused.

    `message` is the message of the error in the client's library, which has `data` besides; `code` is for those libraries
    that have all of it.
    """
    code = error.cause.ending.code
    data: dict[str, Any] = {"code": code, "status": error.status}
    if error.cause.ending.retry:
        data["retry_after"] = max(1, math.ceil(error.retry_after))
    return packets.engine_message(
        packets.CONNECT_ERROR, _json({"code": code, "message": error.reason, "data": data})
    )


def last_packets(code: int, reason: str) -> list[str]:
    """Return the last packets for a client of which the connection ends with this close code.

    The event `close` tells code and reason. After DISCONNECT, the client's library does not reconnect by itself.
    """
    told = _event('"close"', _json({"code": code, "reason": reason}))
    return [told] if code in RECONNECT_CODES else [told, packets.engine_message(packets.DISCONNECT)]


def _event(name: str, data: str) -> str:
    return packets.engine_message(packets.EVENT, f"[{name},{data}]" if data else f"[{name}]")


def _error(message: str) -> str:
    return _event('"error"', message)


def _ack(number: int, data: str) -> str:
    return packets.engine_message(packets.ACK, f"[{data}]", number=number)


def _json_or_text(text: str) -> Slices[str]:
    """Return a JSON text as it is, and any other text as a JSON string."""
    try:
        values = yield from array(f"[{text}]", most=1)
    except JsonError:
        values = []
    return values[0].text if len(values) == 1 else _json(text)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
