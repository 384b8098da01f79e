"""Engine.IO over HTTP long-polling: packets for the client wait for its next GET, and its own come with POSTs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio import packets as kinds
from memmie_gateway.core.socketio.handshake import Problem
from memmie_gateway.core.socketio.owner_origin import OwnerOrigin
from memmie_gateway.core.socketio.packets import PacketError, polled, split_payload
from memmie_gateway.core.socketio.translation import RECONNECT_CODES
from memmie_gateway.net import clock
from memmie_gateway.net.handover import MAX_EARLY, Handover
from memmie_gateway.net.socketio.answers import EngineError
from memmie_gateway.net.socketio.carrier import MOST_AT_ONCE, CarrierOwner, Packet
from memmie_gateway.net.socketio.poll import Poll
from memmie_gateway.net.socketio.websocket_carrier import WebSocketCarrier

PACE_SECONDS: Final = 0.02
"""Minimum time between two answers to GETs, and to POSTs, of one client; packets are gathered meanwhile."""

MOST_IN_BODY: Final = 4096
"""Maximum number of packets in one body, because they wait in the gateway if they exceed the client's message rate."""

LINGER_SECONDS: Final = 10.0
"""Maximum time for which the last packets wait for a client that is refused."""

Answer = Callable[[Arrival, Handover, bytes], None]
"""Sends the body of a response, and ends the connection."""


class PollingCarrier:
    """Carries packets over HTTP requests.

    Args:
        sid: the id of the connection.
        origin: the Origin headers of the request that opened it, which all its requests must have.
        answer: answers requests.
        max_payload: maximum size of a body in bytes.
        silence: maximum time in seconds without a GET.
        on_end: called when the connection has ended, or goes on over a WebSocket.

    Attributes:
        origin: of its requests.
        owner: the client; None when it has left.
        probe: the WebSocket of an upgrade that is under way, which ends with this carrier; None for none.
        sid: as given.
        transport: None, because each request has its own TCP connection.
        upgrading: whether an upgrade to WebSocket was begun; there is only one.
    """

    transport = None

    def __init__(
        self,
        sid: str,
        origin: Sequence[bytes],
        *,
        answer: Answer,
        max_payload: int,
        silence: float,
        on_end: Callable[[PollingCarrier], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer = answer
        self._max_payload = max_payload
        self._silence = silence
        self._on_end = on_end
        self._queue: deque[Packet] = deque()  # for the client
        self._size = 0  # of the queue, in bytes
        self._limit = MAX_EARLY
        self._full = False
        self._unread = False  # answers wait for the client, so nothing of it is processed
        self._poll: Poll | None = None
        self._next_poll = self._next_post = 0.0  # earliest times of the next answers
        self._flushing: asyncio.TimerHandle | None = None
        self._post: tuple[Arrival, Handover] | None = None
        self._answering: asyncio.TimerHandle | None = None  # answers a POST that was processed
        self._broken = False  # a POST has broken the protocol
        self._reading: Handover | None = None  # the connection of a POST of which the body is being read
        self._inbox: deque[Packet] = deque()  # from the client
        self._paused = self._released = False
        self._closing = self._shut = self._ended = False
        self._close_queued = False  # it is the last packet in the queue
        self._told: tuple[int, str] | None = None  # close code and reason, after the last packet was queued
        self._timer = self._end_if_silent()
        self.origin = OwnerOrigin(origin)
        self.owner: CarrierOwner | None = None
        self.probe: WebSocketCarrier | None = None
        self.sid = sid
        self.upgrading = False

    def __repr__(self) -> str:
        """Leave out the sid, because it is a secret."""
        return f"<PollingCarrier waiting={len(self._queue)}{' ended' * self._ended}>"

    # GET.

    def poll(self, arrival: Arrival, handover: Handover) -> None:
        """Answer a GET as soon as there are packets.

        Raises:
            EngineError: another GET waits for its answer.
        """
        if self._poll is not None or self._ended:
            raise EngineError(Problem.BAD_REQUEST)
        self._timer.cancel()
        self._poll = Poll(arrival, handover, self._poll_lost)
        if self._released and not self._queue:
            self.send([str(kinds.NOOP)])
        self._flush_later()

    def _poll_lost(self) -> None:
        self._poll = None
        self._wait_for_poll()

    def _wait_for_poll(self) -> None:
        self._timer.cancel()
        if not self._ended:
            self._timer = self._end_if_silent()

    def _end_if_silent(self) -> asyncio.TimerHandle:
        return self._loop.call_later(self._silence, self._silent, clock.pauses())

    def _silent(self, pauses: int) -> None:
        """The client has sent no GET for too long, unless the gateway was stopped meanwhile and has not read it yet."""
        if clock.pauses() != pauses:
            self._wait_for_poll()
        else:
            self._end(TimeoutError("no request came"))

    def _flush_later(self) -> None:
        if self._poll is not None and self._flushing is None:
            delay = self._next_poll - self._loop.time()
            self._flushing = self._loop.call_later(max(0.0, delay), self._flush)

    def _flush(self) -> None:
        """Answer the GET with as many packets as one body may have."""
        self._flushing = None
        poll = self._poll
        if poll is None or not self._queue or poll.handover.transport.is_closing():
            return
        self._poll = None
        parts: list[str] = []
        room = self._max_payload
        while self._queue:
            size = _size(self._queue[0])
            if parts and (size > room or (self._close_queued and len(self._queue) == 1)):
                break  # a client forgets what it has read in the same body as CLOSE
            parts.append(polled(self._queue.popleft()))
            self._size -= size
            room -= size + 1
        self._next_poll = self._loop.time() + PACE_SECONDS
        self._wait_for_poll()
        self._answer(poll.arrival, poll.handover, kinds.SEPARATOR.join(parts).encode())
        if self._full and self._size <= self._limit // 4 and self.owner is not None:
            self._full = False
            self.owner.drained()
            if self._unread:
                self._unread = False
                self._loop.call_soon(self._work)
        self._flushed()

    def _flushed(self) -> None:
        """All packets were sent, and the client polls; during an upgrade it learns the end over the WebSocket."""
        if self._released or self._queue or self._ended:
            return
        if self._told is not None and self.owner is not None and not self._closing:
            if self._under_way:
                return  # what the client has sent before it knew of the end is forwarded
            self.owner.closed(*self._told)  # the client does not answer the end
        if self._closing:
            self._end(None)

    # POST.

    def begin_post(self, handover: Handover) -> None:
        """Note that the body of a POST is being read, until `posted` or `post_failed`.

        Raises:
            EngineError: another POST is under way.
        """
        if self._under_way or self._answering is not None or self._broken or self._ended:
            raise EngineError(Problem.BAD_REQUEST)
        self._reading = handover

    def post_failed(self) -> None:
        """Note that the body of a POST was not read."""
        if self._reading is not None:
            self._reading = None
            self._flushed()

    @property
    def _under_way(self) -> bool:
        """Whether a POST is being read, or was not processed as a whole."""
        return self._reading is not None or self._post is not None or bool(self._inbox)

    def posted(self, arrival: Arrival, handover: Handover, body: bytes) -> None:
        """Process the packets of a POST, and then answer it.

        Raises:
            EngineError: the connection has ended, or the body has no packets.
        """
        self._reading = None
        if self._ended:
            raise EngineError(Problem.UNKNOWN_SID)
        try:
            packets = split_payload(body.decode(), MOST_IN_BODY)
        except (PacketError, UnicodeDecodeError) as error:
            words = str(error) if isinstance(error, PacketError) else "a body must be UTF-8"
            self.broke(Cause.CLIENT_VIOLATION, f"the client broke the Socket.IO protocol: {words}")
            raise EngineError(Problem.BAD_REQUEST) from None
        self._inbox += packets
        self._post = (arrival, handover)
        self._work()

    def broke(self, cause: Cause, words: str) -> None:
        """A POST has broken the protocol; no further one is read."""
        self._broken = True
        if self.owner is not None:
            self.owner.broke(cause, words)
        self._flushed()

    def _held(self) -> bool:
        return self._paused or self._unread

    def _work(self) -> None:
        """Process a limited number of packets now, and the rest later."""
        if self._held():
            return
        if self.owner is None:
            self._inbox.clear()
        elif self._inbox:
            some = [self._inbox.popleft() for _ in range(min(MOST_AT_ONCE, len(self._inbox)))]
            self.owner.heard(some)
            if self._inbox:
                self._loop.call_soon(self._work)
                return
        if self._post is not None and not self._held():
            post, self._post = self._post, None
            delay = self._next_post - self._loop.time()
            self._next_post = max(self._next_post, self._loop.time()) + PACE_SECONDS
            if delay > 0:
                self._answering = self._loop.call_later(delay, self._answer_post, *post)
            else:
                self._answer_post(*post)
            self._flushed()

    def _answer_post(self, arrival: Arrival, handover: Handover) -> None:
        self._answering = None
        self._answer(arrival, handover, b"ok")

    # The upgrade.

    @property
    def settled(self) -> bool:
        """Whether everything that the client has sent was processed, and so it can go on over a WebSocket."""
        return not (self._under_way or self._ended or self._shut)

    def release_polls(self, released: bool) -> None:  # noqa: FBT001 - the name says it
        """Answer the GET that waits and those that come, or not any more; a client upgrades only after its answer."""
        self._released = released
        if self._queue:
            return
        if not released:
            self._flushed()
        elif self._poll is not None:
            self.send([str(kinds.NOOP)])

    def give_up(self) -> tuple[list[Packet], tuple[int, str] | None]:
        """End this carrier, because another one takes over.

        Returns:
            The packets that wait, and the arguments of `finish` if it was called.
        """
        waiting, self._queue = list(self._queue), deque()
        if self._close_queued:
            del waiting[-1:]
        self.owner = None
        poll, self._poll = self._poll, None
        if poll is not None:
            self._answer(poll.arrival, poll.handover, str(kinds.NOOP).encode())
        self._end(None)
        return waiting, self._told

    # Called by the client (see `Carrier`).

    def send(self, packets: Sequence[Packet]) -> None:
        """Queue packets for the next GET."""
        if self._told is not None or self._ended:
            return
        self._queue += packets
        self._size += sum(map(_size, packets))
        self._flush_later()
        if self._size > self._limit and not self._full and self.owner is not None:
            self._full = True
            self.owner.full()

    def answer(self, packet: Packet) -> None:
        """Send the answer to a packet; if too many bytes wait, nothing is heard until the client has taken some."""
        self.send([packet])
        self._unread = self._full

    def waiting(self) -> int:
        """Return the number of bytes that wait in this process."""
        return self._size

    def set_limit(self, high: int) -> None:
        """Set the number of bytes that may wait."""
        self._limit = high

    def taken(self) -> None:
        """Do nothing, because no connection is counted as pending."""

    def pause(self) -> None:
        """Process nothing until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Process what has come."""
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._work)

    def finish(self, code: int, reason: str) -> None:
        """Queue the last packet, unless the client is to reconnect: not every library does so after CLOSE."""
        if self._told is not None:
            return
        if code not in RECONNECT_CODES:
            self.send([str(kinds.CLOSE)])
            self._close_queued = True
        self._told = (code, reason)
        self._loop.call_soon(self._flushed)

    def is_closing(self) -> bool:
        """Tell whether the connection has ended, or is being closed."""
        return self._closing or self._ended

    def close(self) -> None:
        """End the connection after all packets are sent."""
        self._closing = self._shut = True
        if len(self._queue) <= self._close_queued:
            self._end(None)

    def linger(self) -> None:
        """End the connection of a client that is refused, after all packets are sent or some time."""
        self._closing = True
        self._timer.cancel()
        self._timer = self._loop.call_later(LINGER_SECONDS, self._end, None)
        self._silence = LINGER_SECONDS

    def abort(self) -> None:
        """End the connection at once."""
        self._queue.clear()
        self._end(None)

    def leave(self) -> None:
        """Break the reference cycle with the owner."""
        self.owner = None

    def _end(self, exc: Exception | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._timer.cancel()
        if self._flushing is not None:
            self._flushing.cancel()
        poll, self._poll = self._poll, None
        if poll is not None and self._queue:
            body = kinds.SEPARATOR.join(map(polled, self._queue)).encode()
            self._answer(poll.arrival, poll.handover, body)
        elif poll is not None:
            poll.handover.transport.abort()
        if self._post is not None:
            self._post[1].transport.abort()
        if self._reading is not None:
            self._reading.transport.abort()
        if self.probe is not None:
            self.probe.abort()
        self._post = None
        self._inbox.clear()
        self._on_end(self)
        if self.owner is not None:
            self._loop.call_soon(self.owner.lost, exc)


def _size(packet: Packet) -> int:
    """Return the size of a packet in a body, in bytes; for text it is an estimate."""
    return len(packet) if isinstance(packet, str) else len(packet) * 4 // 3 + 4
