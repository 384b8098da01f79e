"""What a client of Socket.IO says: packets, which are translated into frames for its session in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final, Protocol

from memmie_gateway.core.socketio import packets as kinds
from memmie_gateway.core.socketio.json_text import WINDOW, Slices
from memmie_gateway.core.socketio.packets import PacketError, message_text, read_engine_packet
from memmie_gateway.core.socketio.translation import Heard, Kind, Translation
from memmie_gateway.core.websocket.control_frames import CLOSE, PONG, close_payload, control_frame
from memmie_gateway.core.websocket.messages import TEXT, message_frame
from memmie_gateway.net.sessions.leg import Leg
from memmie_gateway.net.socketio.carrier import Carrier, Packet
from memmie_gateway.net.socketio.heartbeat import Heartbeat
from memmie_gateway.net.socketio.large_texts import LargeTexts

_MESSAGE, _ANSWER, _CONNECT, _LEAVE = Kind.MESSAGE, Kind.ANSWER, Kind.CONNECT, Kind.LEAVE

MOST_EARLY: Final = 32
"""Maximum number of packets of a client before its session begins."""


class Speaker(Protocol):
    """The client, as its translator sees it.

    Attributes:
        carrier: carries its packets.
        connect: gets the token of CONNECT.
        leg: its leg of the session; None before the session, and after it.
        paused: whether the session has paused the client.
    """

    carrier: Carrier
    connect: asyncio.Future[str]
    leg: Leg | None
    paused: bool

    @property
    def left(self) -> bool:
        """Whether the client has left, so that nothing more is heard from it."""

    def leave(self, code: int, reason: str) -> bytes:
        """Note that the client leaves; return its Close frame."""

    def violate(self, problem: str) -> None:
        """The client has broken the protocol."""

    def all_heard(self) -> None:
        """Everything was heard."""

    def surviving(self, work: Slices[None]) -> Slices[None]:
        """Do work; a bug in it ends only this connection."""


class Hearing:
    """Translates packets of one client, large ones in slices; its carrier delivers no others meanwhile.

    Args:
        translation: translates.
        heartbeat: knows which pings the client has not answered yet.
        rng: creates masking keys.
        large_texts: reads what is too large for one turn of the event loop.
    """

    __slots__ = (
        "_early",
        "_heartbeat",
        "_large_texts",
        "_problem",
        "_rest",
        "_rng",
        "_translation",
        "_unheard",
    )

    def __init__(
        self, translation: Translation, heartbeat: Heartbeat, rng: random.Random, large_texts: LargeTexts
    ) -> None:
        self._early = 0  # packets before the session
        self._heartbeat = heartbeat
        self._large_texts = large_texts
        self._problem = ""  # with which the client has broken the protocol, behind what is unheard
        self._rest: Slices[None] | None = None  # of the work, in later turns
        self._rng = rng
        self._translation = translation
        self._unheard: list[bytes] = []  # frames for the session, which has paused the client

    def __repr__(self) -> str:
        return f"<Hearing unheard={len(self._unheard)}{' behind' * self.reading}>"

    @property
    def reading(self) -> bool:
        """Whether packets wait to be translated."""
        return self._rest is not None

    @property
    def behind(self) -> bool:
        """Whether packets wait to be translated, or frames to be passed on, so that the carrier must not deliver others."""
        return self._rest is not None or bool(self._unheard)

    def hear(self, client: Speaker, packets: Sequence[Packet | None]) -> None:
        """Translate packets, now as far as one turn of the event loop goes, and pass the frames on."""
        if client.leg is None:
            self._early += len(packets)
        work = client.surviving(self._all(client, packets))
        if self._large_texts.begin(work):
            self._rest = work
            client.carrier.pause()

    def catch_up(self, client: Speaker) -> None:
        """Pass on what had to wait for the session."""
        if client.paused:
            return
        frames, self._unheard = self._unheard, []
        if frames:
            self._pass_on(client, frames)
        if self._rest is None:
            self._tell_problem(client)
            client.all_heard()

    def stop(self) -> None:
        """Forget what waits."""
        self._rest = None
        self._unheard = []

    def pong(self, payload: bytes = b"") -> bytes:
        """Return a pong of the client."""
        return control_frame(PONG, payload, key=self._rng.randbytes(4))

    def close_frame(self, code: int, reason: str) -> bytes:
        """Return the Close frame of the client."""
        return control_frame(CLOSE, close_payload(code, reason), key=self._rng.randbytes(4))

    def _all(self, client: Speaker, packets: Sequence[Packet | None]) -> Slices[None]:
        """Translate packets; those before a problem are passed on. After each `WINDOW` characters, others go on."""
        frames: list[bytes] = []
        size = 0
        try:
            if client.leg is None and self._early > MOST_EARLY:
                raise PacketError("too many packets before the client is connected")  # noqa: TRY301 - as below
            for packet in packets:
                length = 0 if packet is None else len(packet)
                if frames and size + length > WINDOW:
                    self._pass_on(client, frames)
                    frames = []
                    size = 0
                    yield
                size += length
                text = None if packet is None else message_text(packet)
                if text is None:
                    frames.append(self._other(client, packet))
                else:
                    heard = yield from self._translation.hear(text)
                    frames.append(self._frame(client, heard, length))
                if client.left:
                    break
        except PacketError as error:
            self._problem = str(error)
        if frames:
            self._pass_on(client, frames)
        if not self._unheard:
            self._tell_problem(client)
        if self._rest is not None:
            self._rest = None
            client.all_heard()

    def _pass_on(self, client: Speaker, frames: list[bytes]) -> None:
        """Pass frames on, but none while the session has paused the client: what it holds back comes before them."""
        if client.leg is None:
            return
        if client.paused or self._unheard:
            self._unheard += frames
        else:
            client.leg.data_received(frames[0] if len(frames) == 1 else b"".join(frames))

    def _tell_problem(self, client: Speaker) -> None:
        if self._problem:
            problem, self._problem = self._problem, ""
            client.violate(problem)

    def _other(self, client: Speaker, packet: Packet | None) -> bytes:
        """Return the frame for what is no text. Each packet is one frame, and so counts in the user's message rate."""
        if packet is None:
            return self.pong()
        read = read_engine_packet(packet)
        kind = read.packet_type
        if kind == kinds.MESSAGE:
            self._translation.hear_binary()
        elif kind == kinds.PONG:
            if answered := self._heartbeat.answered():
                return b"".join(map(self.pong, answered))
        elif kind == kinds.CLOSE:
            return client.leave(1000, "")
        elif kind == kinds.OPEN:
            raise PacketError("this packet is not for a client to send")
        return self.pong()

    def _frame(self, client: Speaker, heard: Heard, length: int) -> bytes:
        """Return the frame for a text, and a pong for each `WINDOW` characters of it, because reading them takes long."""
        kind, told = heard
        if kind is _LEAVE:
            return client.leave(1000, "")
        if kind is _MESSAGE:
            frame = message_frame(TEXT, told.encode(), self._rng.randbytes(4))
        else:
            frame = self.pong()
            if kind is _ANSWER:
                client.carrier.answer(told)
            elif kind is _CONNECT and not client.connect.done():
                client.connect.set_result(told)
        return frame if length < WINDOW else frame + self.pong() * (length // WINDOW)
