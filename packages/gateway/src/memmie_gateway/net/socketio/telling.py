"""What the backend and the session tell a client of Socket.IO: frames, which are translated into packets in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from memmie_gateway.core.socketio.json_text import WINDOW, Slices
from memmie_gateway.core.socketio.translation import Translation, binary_event, last_packets
from memmie_gateway.core.websocket.control_frames import CLOSE, PING
from memmie_gateway.core.websocket.frames import parse_close_payload
from memmie_gateway.core.websocket.messages import BINARY, TEXT, Message, MessageReader
from memmie_gateway.net.socketio.carrier import MOST_AT_ONCE, Carrier, Packet
from memmie_gateway.net.socketio.large_texts import LargeTexts


class Told(Protocol):
    """The client, as its translator sees it.

    Attributes:
        carrier: carries its packets.
    """

    carrier: Carrier

    @property
    def left(self) -> bool:
        """Whether the client has left, so that it does not need to know why its connection ends."""

    def asked(self, ping: bytes) -> None:
        """The backend or the session has sent a ping with this payload."""

    def fall_behind(self) -> None:
        """Let the backend wait until `catch_up`."""

    def catch_up(self) -> None:
        """Everything was told."""

    def surviving(self, work: Slices[None]) -> Slices[None]:
        """Do work; a bug in it ends only this connection."""


class Telling:
    """Translates frames of one connection, large ones in slices.

    Args:
        translation: translates.
        large_texts: reads what is too large for one turn of the event loop.
    """

    __slots__ = ("_large_texts", "_reader", "_rest", "_translation", "_untold")

    def __init__(self, translation: Translation, large_texts: LargeTexts) -> None:
        self._large_texts = large_texts
        self._reader = MessageReader(masked=False)
        self._rest: Slices[None] | None = None  # of the work, in later turns
        self._translation = translation
        self._untold = b""  # frames that came meanwhile

    def __repr__(self) -> str:
        return f"<Telling untold={len(self._untold)}{' behind' * self.behind}>"

    @property
    def behind(self) -> bool:
        """Whether frames wait to be translated."""
        return self._rest is not None

    def waiting(self) -> int:
        """Return how many bytes came behind those that are being translated."""
        return len(self._untold)

    def tell(self, client: Told, frames: bytes) -> None:
        """Translate frames, now as far as one turn of the event loop goes."""
        if self._rest is not None:
            self._untold += frames
            return
        work = client.surviving(self._all(client, frames))
        if self._large_texts.begin(work):
            self._rest = work
            client.fall_behind()

    def stop(self) -> None:
        """Forget what waits."""
        if self._rest is not None:
            self._rest.close()
            self._rest = None

    def _all(self, client: Told, frames: bytes) -> Slices[None]:
        """Translate frames. After each `WINDOW` characters, and after `MOST_AT_ONCE` messages, others go on."""
        while True:
            messages = self._reader.feed(frames, MOST_AT_ONCE)
            yield from self._some(client, messages)
            frames, self._untold = self._untold, b""
            if len(messages) < MOST_AT_ONCE and not frames:
                break
            yield
        if self._rest is not None:
            self._rest = None
            client.catch_up()

    def _some(self, client: Told, messages: Sequence[Message]) -> Slices[None]:
        packets: list[Packet] = []
        size = 0
        for opcode, payload in messages:
            if packets and size + len(payload) > WINDOW:
                client.carrier.send(packets)
                packets = []
                size = 0
                yield
            size += len(payload)
            if opcode == TEXT:
                packets.append((yield from self._translation.translate(payload.decode(errors="replace"))))
            elif opcode == BINARY:
                packets += binary_event(payload)
            elif opcode == PING:
                client.asked(payload)
            elif opcode == CLOSE:
                _, code, reason = parse_close_payload(payload)
                if not client.left:  # otherwise the client closes it, and forgets what comes
                    packets += last_packets(code, reason)
                if packets:
                    client.carrier.send(packets)
                client.carrier.finish(code, reason)
                return
        if packets:
            client.carrier.send(packets)
