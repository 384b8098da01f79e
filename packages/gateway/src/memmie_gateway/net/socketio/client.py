"""A client that speaks Socket.IO, which a session sees as a client with a plain WebSocket.

    client ── packets ── Carrier ── TranslatedClient ── frames ── ClientLeg ── Session ── backend
                                    Hearing ──►
                                    ◄── Telling

To the session it is a transport: the frames that the session writes are translated into packets, and the packets of the
client arrive at its leg as frames. So limits, keepalive, closing and all the rest of a session work as for every client,
and a plain session does not know of any of this.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio import packets as kinds
from memmie_gateway.core.socketio.json_text import Slices
from memmie_gateway.core.socketio.translation import Translation
from memmie_gateway.core.websocket.keepalive import Times
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.sessions.leg import Leg
from memmie_gateway.net.socketio.carrier import Carrier, Packet
from memmie_gateway.net.socketio.hearing import Hearing
from memmie_gateway.net.socketio.heartbeat import Heartbeat
from memmie_gateway.net.socketio.large_texts import LargeTexts
from memmie_gateway.net.socketio.telling import Telling


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
        leg: its leg of the session; None before the session, and after it.
        paused: whether the session has paused it.
        translation: as given.
    """

    __slots__ = (
        "_closing",
        "_deaf",
        "_ended",
        "_farewell",
        "_full",
        "_gone",
        "_hearing",
        "_heartbeat",
        "_hung_up",
        "_limit",
        "_loop",
        "_lost",
        "_telling",
        "carrier",
        "connect",
        "leg",
        "paused",
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
        self._limit = 0
        self._lost = self._full = self._hung_up = self._closing = False
        self._gone: tuple[Exception | None] | None = None  # why the connection was lost, if not all was heard
        self._ended = False  # the client has left
        self._deaf = False  # the client has broken the protocol
        self._farewell = b""  # the client's Close frame, if it left before the session
        self._telling = Telling(translation, large_texts)
        self._heartbeat = Heartbeat(times, self._ping)
        self._hearing = Hearing(translation, self._heartbeat, rng, large_texts)
        self.carrier = carrier
        self.connect: asyncio.Future[str] = self._loop.create_future()
        self.connect.add_done_callback(_look)
        self.leg: Leg | None = None
        self.paused = False
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
        self.leg = owner
        self.carrier.taken()
        return self._farewell

    def go_on(self, carrier: Carrier) -> None:
        """Go on with another carrier; the last one has ended."""
        self.carrier = carrier
        if self._limit:
            carrier.set_limit(self._limit)
        if self.paused or self._hearing.reading:
            carrier.pause()
        self.drained()

    # From the client (see `CarrierOwner`).

    def heard(self, packets: Sequence[Packet | None]) -> None:
        """Translate packets of the client, and pass the frames on."""
        if not (self._ended or self._deaf):
            self._hearing.hear(self, packets)

    def _ping(self) -> None:
        self.carrier.send([str(kinds.PING)])

    def leave(self, code: int, reason: str) -> bytes:
        """Return the Close frame of the client; nothing is heard from it after this."""
        self._ended = True
        if not self.connect.done():
            self.connect.set_exception(LeftError(""))
        frame = self._hearing.close_frame(code, reason)
        self._farewell = frame
        return frame

    def still_sending(self) -> None:
        """Answer the session's pings, because the client cannot answer inside a message, or is not read, and is alive."""
        if self.leg is not None and not self.paused and (answered := self._heartbeat.alive()):
            self.leg.data_received(b"".join(map(self._hearing.pong, answered)))

    def closed(self, code: int, reason: str) -> None:
        """The client has closed its transport."""
        if not self._ended:
            frame = self.leave(code, reason)
            if self.leg is not None:
                self.leg.data_received(frame)
            if self._hung_up:
                self.carrier.close()

    def broke(self, cause: Cause, words: str) -> None:
        """End the session, or refuse the client."""
        self._deaf = True
        if self.leg is not None:
            if not self._ended:
                self.leg.owner.end(cause, words)
        elif not self.connect.done():
            self.connect.set_exception(LeftError(words))
        else:
            self.carrier.finish(cause.close_code, words)
            self.leave(cause.close_code, words)

    def lost(self, exc: Exception | None) -> None:
        """The connection to the client has ended."""
        if self._lost:
            return
        if self._hearing.reading:
            self._gone = (exc,)  # what the client has sent before is passed on first
            return
        self._lost = self._ended = True
        self._heartbeat.stop()
        self._telling.stop()
        self._hearing.stop()
        if not self.connect.done():
            self.connect.cancel()
        self.carrier.leave()
        leg, self.leg = self.leg, None
        if leg is not None:
            leg.connection_lost(exc)

    def full(self) -> None:
        """Stop reading from the backend."""
        self._full = True
        self.fall_behind()

    def drained(self) -> None:
        """Read from the backend again."""
        self._full = False
        self._resume_writing()

    def _resume_writing(self) -> None:
        if self.leg is not None and not (self._full or self._telling.behind):
            self.leg.resume_writing()

    # From its translators (see `Speaker` and `Told`).

    @property
    def left(self) -> bool:
        """Whether the client has left."""
        return self._ended

    def violate(self, problem: str) -> None:
        """End the session, or refuse the client."""
        self.broke(Cause.CLIENT_VIOLATION, f"the client broke the Socket.IO protocol: {problem}")

    def all_heard(self) -> None:
        """Hear the client again, unless it is lost; it is the end of the connection then."""
        if not (self.paused or self._hearing.behind):
            self.carrier.resume()
        if self._gone is not None:
            self.lost(*self._gone)

    def asked(self, ping: bytes) -> None:
        """Ask the client whether it is alive; while it is not read, it cannot answer, and is alive."""
        self._heartbeat.ask(ping)
        if self._hearing.reading:
            self._loop.call_soon(self.still_sending)

    def fall_behind(self) -> None:
        """Stop reading from the backend."""
        if self.leg is not None:
            self.leg.pause_writing()

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
            if self.leg is not None:
                self.leg.owner.end(Cause.INTERNAL)
            self.carrier.abort()
            self._hearing.stop()
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
        self.paused = True
        self.carrier.pause()

    def resume_reading(self) -> None:
        """Hear the client again."""
        self.paused = False
        if self._hearing.behind:
            self._loop.call_soon(self._hearing.catch_up, self)  # the session does not expect frames here
        else:
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
