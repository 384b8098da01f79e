"""A client that speaks Socket.IO, which a session sees as a client with a plain WebSocket.

    client ── packets ── Carrier ── TranslatedClient ── frames ── ClientLeg ── Session ── backend

To the session it is a transport: the frames that the session writes are translated into packets, and the packets of the
client arrive at its leg as frames. So limits, keepalive, closing and all the rest of a session work as for every client,
and a plain session does not know of any of this.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Final

from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio import packets as kinds
from memmie_gateway.core.socketio.json_text import WINDOW, Slices
from memmie_gateway.core.socketio.packets import PacketError, message_text, read_engine_packet
from memmie_gateway.core.socketio.translation import Heard, Kind, Translation
from memmie_gateway.core.websocket.control_frames import CLOSE, PONG, close_payload, control_frame
from memmie_gateway.core.websocket.keepalive import Times
from memmie_gateway.core.websocket.messages import TEXT, message_frame
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.sessions.leg import Leg
from memmie_gateway.net.socketio.carrier import Carrier, Packet
from memmie_gateway.net.socketio.heartbeat import Heartbeat
from memmie_gateway.net.socketio.large_texts import LargeTexts
from memmie_gateway.net.socketio.telling import Telling

_MESSAGE, _ANSWER, _CONNECT, _LEAVE = Kind.MESSAGE, Kind.ANSWER, Kind.CONNECT, Kind.LEAVE

MOST_EARLY: Final = 32
"""Maximum number of packets of a client before its session begins."""


class LeftError(Exception):
    """The client has left, or broke the protocol, before it was connected; the message is for the client."""


class TranslatedClient(asyncio.Transport):
    """The connection of a client, as its session sees it: `net.handover.Held`, and its transport at the same time.

    Args:
        carrier: carries its packets; it may be replaced by another one.
        translation: translates.
        times: of the heartbeat.
        rng: creates masking keys.
        large_texts: reads what is too large for one turn of the event loop.

    Attributes:
        carrier: as given.
        connect: the token of the client's CONNECT, "" if it has none.
        translation: as given.
    """

    __slots__ = (
        "_closing",
        "_deaf",
        "_early",
        "_ended",
        "_farewell",
        "_full",
        "_gone",
        "_hearing",
        "_heartbeat",
        "_hung_up",
        "_large_texts",
        "_leg",
        "_limit",
        "_loop",
        "_lost",
        "_paused",
        "_problem",
        "_rng",
        "_telling",
        "_unheard",
        "carrier",
        "connect",
        "translation",
    )

    def __init__(
        self,
        carrier: Carrier,
        translation: Translation,
        times: Times,
        rng: random.Random,
        large_texts: LargeTexts,
    ) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._leg: Leg | None = None
        self._limit = 0
        self._lost = self._paused = self._full = self._hung_up = self._closing = False
        self._hearing: Slices[None] | None = (
            None  # translates packets of the client, which is not read meanwhile
        )
        self._gone: tuple[Exception | None] | None = None  # why the connection was lost meanwhile, if it was
        self._unheard: list[bytes] = []  # frames for the session, which has paused the client
        self._problem = ""  # with which the client has broken the protocol behind them
        self._ended = False  # the client has left
        self._deaf = False  # the client has broken the protocol
        self._early = 0  # packets before the session
        self._farewell = b""  # the client's Close frame, if it left before the session
        self._rng = rng
        self._telling = Telling(translation, large_texts)
        self._heartbeat = Heartbeat(times, self._ping)
        self._large_texts = large_texts
        self.carrier = carrier
        self.connect: asyncio.Future[str] = self._loop.create_future()
        self.connect.add_done_callback(_look)
        self.translation = translation

    def __repr__(self) -> str:
        return f"<TranslatedClient {self.translation!r}>"

    @property
    def ended(self) -> bool:
        """Whether the connection has ended, or the client was refused."""
        return self._lost

    @property
    def transport(self) -> asyncio.Transport:
        """The connection, as the session sees it."""
        return self

    def take(self, owner: asyncio.BaseProtocol) -> bytes:
        """Begin the session; nothing was received for it before."""
        assert isinstance(owner, Leg)  # noqa: S101 - of a session
        if self._lost:
            self._loop.call_soon(owner.connection_lost, None)  # while a backend was dialled
            return b""
        self._leg = owner
        self.carrier.taken()
        return self._farewell

    def go_on(self, carrier: Carrier) -> None:
        """Go on with another carrier; the last one has ended."""
        self.carrier = carrier
        if self._limit:
            carrier.set_limit(self._limit)
        if self._paused or self._hearing is not None:
            carrier.pause()
        self.drained()

    # From the client (see `CarrierOwner`).

    def heard(self, packets: Sequence[Packet | None]) -> None:
        """Translate packets of the client, and pass the frames on."""
        if self._ended or self._deaf:
            return
        if self._leg is None:
            self._early += len(packets)
        hearing = self.surviving(self._hear_all(packets))
        if self._large_texts.begin(hearing):
            self._hearing = hearing
            self.carrier.pause()

    def _hear_all(self, packets: Sequence[Packet | None]) -> Slices[None]:
        """Translate packets; those before a problem are passed on. After each `WINDOW` characters, others go on."""
        frames: list[bytes] = []
        problem = ""
        size = 0
        try:
            if self._leg is None and self._early > MOST_EARLY:
                raise PacketError("too many packets before the client is connected")  # noqa: TRY301 - as below
            for packet in packets:
                length = 0 if packet is None else len(packet)
                if frames and size + length > WINDOW:
                    self._pass_on(frames)
                    frames = []
                    size = 0
                    yield
                size += length
                text = None if packet is None else message_text(packet)
                if text is None:
                    frames.append(self._hear_other(packet))
                else:
                    heard = yield from self.translation.hear(text)
                    frames.append(self._frame(heard, length))
                if self._ended:
                    break
        except PacketError as error:
            problem = str(error)
        if frames:
            self._pass_on(frames)
        self._problem = problem
        if problem and not self._unheard:
            self._broke()
        if self._hearing is not None:
            self._hearing = None
            if not (self._paused or self._unheard):
                self.carrier.resume()
            if self._gone is not None:
                self.lost(*self._gone)

    def _pass_on(self, frames: list[bytes]) -> None:
        """Pass frames on, but none while the session has paused the client: what it holds back comes before them."""
        if self._leg is None:
            return
        if self._paused or self._unheard:
            self._unheard += frames
        else:
            self._leg.data_received(frames[0] if len(frames) == 1 else b"".join(frames))

    def _catch_up(self) -> None:
        """Pass on what had to wait for the session."""
        if self._paused:
            return
        frames, self._unheard = self._unheard, []
        if frames:
            self._pass_on(frames)
        if self._hearing is None:
            if self._problem:
                self._broke()
            if not self._paused:
                self.carrier.resume()

    def _broke(self) -> None:
        problem, self._problem = self._problem, ""
        self.broke(Cause.CLIENT_VIOLATION, f"the client broke the Socket.IO protocol: {problem}")

    def _hear_other(self, packet: Packet | None) -> bytes:
        """Return the frame for what is no text. Each packet is one frame, and so counts in the user's message rate."""
        if packet is None:
            return self._pong(b"")
        read = read_engine_packet(packet)
        kind = read.packet_type
        if kind == kinds.MESSAGE:
            self.translation.hear_binary()
        elif kind == kinds.PONG:
            if answered := self._heartbeat.answered():
                return b"".join(map(self._pong, answered))
        elif kind == kinds.CLOSE:
            return self._leave(1000, "")
        elif kind == kinds.OPEN:
            raise PacketError("this packet is not for a client to send")
        return self._pong(b"")

    def _frame(self, heard: Heard, length: int) -> bytes:
        """Return the frame for a text, and a pong for each `WINDOW` characters of it, because reading them takes long."""
        kind, told = heard
        if kind is _LEAVE:
            return self._leave(1000, "")
        if kind is _MESSAGE:
            frame = message_frame(TEXT, told.encode(), self._rng.randbytes(4))
        else:
            frame = self._pong(b"")
            if kind is _ANSWER:
                self.carrier.answer(told)
            elif kind is _CONNECT and not self.connect.done():
                self.connect.set_result(told)
        return frame if length < WINDOW else frame + self._pong(b"") * (length // WINDOW)

    def _ping(self) -> None:
        self.carrier.send([str(kinds.PING)])

    def _pong(self, payload: bytes) -> bytes:
        return control_frame(PONG, payload, key=self._rng.randbytes(4))

    def _leave(self, code: int, reason: str) -> bytes:
        """Return the Close frame of the client; nothing is heard from it after this."""
        self._ended = True
        if not self.connect.done():
            self.connect.set_exception(LeftError(""))
        frame = control_frame(CLOSE, close_payload(code, reason), key=self._rng.randbytes(4))
        self._farewell = frame
        return frame

    def still_sending(self) -> None:
        """Answer the session's pings, because the client cannot answer inside a message, or is not read, and is alive."""
        if self._leg is not None and not self._paused and (answered := self._heartbeat.alive()):
            self._leg.data_received(b"".join(map(self._pong, answered)))

    def closed(self, code: int, reason: str) -> None:
        """The client has closed its transport."""
        if not self._ended:
            frame = self._leave(code, reason)
            if self._leg is not None:
                self._leg.data_received(frame)
            if self._hung_up:
                self.carrier.close()

    def broke(self, cause: Cause, words: str) -> None:
        """End the session, or refuse the client."""
        self._deaf = True
        if self._leg is not None:
            if not self._ended:
                self._leg.owner.end(cause, words)
        elif not self.connect.done():
            self.connect.set_exception(LeftError(words))
        else:
            self.carrier.finish(cause.close_code, words)
            self._leave(cause.close_code, words)

    def lost(self, exc: Exception | None) -> None:
        """The connection to the client has ended."""
        if self._lost:
            return
        if self._hearing is not None:
            self._gone = (exc,)  # what the client has sent before is passed on first
            return
        self._lost = self._ended = True
        self._heartbeat.stop()
        self._telling.stop()
        self._unheard = []
        if not self.connect.done():
            self.connect.cancel()
        self.carrier.leave()
        leg, self._leg = self._leg, None
        if leg is not None:
            leg.connection_lost(exc)

    def full(self) -> None:
        """Stop reading from the backend."""
        self._full = True
        if self._leg is not None:
            self._leg.pause_writing()

    def drained(self) -> None:
        """Read from the backend again."""
        self._full = False
        self._resume_writing()

    def _resume_writing(self) -> None:
        if self._leg is not None and not (self._full or self._telling.behind):
            self._leg.resume_writing()

    # From its translator (see `Told`).

    @property
    def left(self) -> bool:
        """Whether the client has left."""
        return self._ended

    def asked(self, ping: bytes) -> None:
        """Ask the client whether it is alive; while it is not read, it cannot answer, and is alive."""
        self._heartbeat.ask(ping)
        if self._hearing is not None:
            self._loop.call_soon(self.still_sending)

    def fall_behind(self) -> None:
        """Stop reading from the backend."""
        if self._leg is not None:
            self._leg.pause_writing()

    def catch_up(self) -> None:
        """Read from the backend again, or close the connection, which has waited for this."""
        if self._closing:
            self.carrier.close()
        else:
            self._resume_writing()

    def surviving(self, work: Slices[None]) -> Slices[None]:
        """Do work; a bug in it ends the connection, because otherwise the client would stay paused for ever."""
        try:
            yield from work
        except Exception as error:  # noqa: BLE001 - a bug affects this client only, and is logged
            answers.report_bug(error)
            self._deaf = True
            if self._leg is not None:
                self._leg.owner.end(Cause.INTERNAL)
            self.carrier.abort()
            self._hearing = None
            if self._gone is not None:
                self.lost(*self._gone)

    # From the session (see `asyncio.Transport`).

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Translate frames of the backend, and of the session itself."""
        if not self._lost:
            self._telling.tell(self, bytes(data))

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that wait for the client in this process."""
        return self.carrier.waiting() + self._telling.waiting()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set how many bytes may wait."""
        del low
        self._limit = high or 0
        self.carrier.set_limit(self._limit)

    def pause_reading(self) -> None:
        """Hear nothing more from the client."""
        self._paused = True
        self.carrier.pause()

    def resume_reading(self) -> None:
        """Hear the client again."""
        self._paused = False
        if self._unheard:
            self._loop.call_soon(self._catch_up)  # not now, because the session does not expect frames here
        elif self._hearing is None:
            self.carrier.resume()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the TCP connection; nothing if it is not always the same one."""
        transport = self.carrier.transport
        return default if transport is None else transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Tell whether the connection is closed, or is being closed."""
        return self._lost or self._closing or self.carrier.is_closing()

    def can_write_eof(self) -> bool:
        """Return True."""
        return True

    def write_eof(self) -> None:
        """Close the connection when the client has closed its side, which the session does not notice any more."""
        self._hung_up = True

    def close(self) -> None:
        """Close the connection after all bytes are sent."""
        self._closing = True
        if not self._telling.behind:
            self.carrier.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self.carrier.abort()


def _look(connect: asyncio.Future[str]) -> None:
    """Take note of an exception that perhaps nobody awaits."""
    if not connect.cancelled():
        connect.exception()
