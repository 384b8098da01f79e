"""A WebSocket for greenlets, with requests and replies: a reply has the message's id (spec §4).

A greenlet of its own reads all the time, so that no ping, event or close waits for a user.

The frames are `websockets`' Sans-I/O protocol: it takes whole reads, so that each message has the time its bytes
arrived, where `websocket-client` reads a frame in pieces and tells no time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import gevent
from gevent import GreenletExit, Timeout
from gevent.event import AsyncResult, Event
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import CLOSED, OPEN
from websockets.uri import parse_uri

from loadtests.users.wire import CONNECT_SECONDS, Wire

CLOSE_SECONDS: Final = 5.0
REPLY_SECONDS: Final = 10.0
MAX_MESSAGE_BYTES: Final = 1 << 24

MOST_REASON: Final = 200
"""Characters of a refusal's body that are repeated."""

NO_CLOSE_FRAME: Final = "no close frame"
"""How a connection ended without a Close frame (RFC 6455 §7.1.5 has 1006 for it, which is never on the wire)."""

BLOB_UPDATED: Final = "blob.updated"

# The shapes of a refusal's `code` and of Studio's message types (spec §4). Nothing else is repeated or counted by: it may
# hold anything, such as a token.
_CODE: Final = re.compile("[a-z_]{1,40}")
_TYPE: Final = re.compile(r"[a-z_]{1,20}(\.[a-z_]{1,20})?")

Document = dict[str, Any]


class OperationError(Exception):
    """An operation failed. The error's words are its reason in statistics and reports: few and countable."""

    answer = ""  # the words of a refusal's body, which are not countable

    def __repr__(self) -> str:
        """Return the words alone, which Locust's own statistics show."""
        return str(self)


class RefusedError(OperationError):
    """The upgrade was answered with a status other than 101, and perhaps with a `code` (spec §1)."""

    def __init__(self, status: int, code: str, answer: str) -> None:
        super().__init__(f"refused {status} {code}".rstrip())
        self.status = status
        self.answer = answer


class ClosedError(OperationError):
    """The connection ended, with a close code in digits or `NO_CLOSE_FRAME`."""

    def __init__(self, code: str | None) -> None:
        super().__init__(f"closed {code}" if code and code != NO_CLOSE_FRAME else NO_CLOSE_FRAME)


class UnexpectedReplyError(OperationError):
    """A message has another type than the one that was expected."""

    def __init__(self, kind: object) -> None:
        known = isinstance(kind, str) and _TYPE.fullmatch(kind)
        super().__init__(f"answered {kind}" if known else "answered with a message of no known type")


def ignore(*_: object) -> None:
    """Take an event, or the end of a connection, that is of no interest."""


class Connection:
    """One open WebSocket.

    `on_event` is called in the reading greenlet with each message that is not an expected reply, and with the time it
    arrived (nanoseconds, see `Wire`). `on_end` is called once with `code`: the close code in digits or `NO_CLOSE_FRAME`;
    `code` is None while the connection is open.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        on_event: Callable[[Document, int], None] = ignore,
        on_end: Callable[[str], None] = ignore,
        buffer_bytes: int | None = None,
    ) -> None:
        self.code: str | None = None
        self._on_event = on_event
        self._on_end = on_end
        self._numbers = itertools.count(1)
        self._waiting: dict[str, AsyncResult] = {}
        self._given_up: set[str] = set()
        self._fragments: list[bytes] = []
        self._may_read = Event()
        self._may_read.set()
        uri = parse_uri(url)
        self._protocol = ClientProtocol(uri, max_size=MAX_MESSAGE_BYTES)
        try:
            self._wire = Wire(uri.host, uri.port, tls=uri.secure, buffer_bytes=buffer_bytes)
        except OSError as error:
            raise OperationError(f"cannot connect: {error.strerror or error}") from None
        try:
            self._shake_hands(headers)
        except BaseException:
            self._wire.reset()
            raise
        self._reader = gevent.spawn(self._read)

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self.code is None and self._protocol.state is OPEN

    def send(self, *texts: bytes) -> int:
        """Send text messages in one write; return when (nanoseconds, see `Wire`)."""
        if not self.open:
            raise ClosedError(self.code)
        for text in texts:
            self._protocol.send_text(text)
        try:
            return self._flush()
        except OSError:
            self._reader.join(CLOSE_SECONDS)  # it learns how the connection ended
            raise ClosedError(self.code) from None

    def ask(
        self, message: Document, *, reply_type: str, message_id: str | None = None
    ) -> tuple[float, Document]:
        """Send a message with an id, by default the next number; return the seconds until its reply, and the reply."""
        message_id = message_id or str(next(self._numbers))
        waiting = self._waiting[message_id] = AsyncResult()
        try:
            sent = self.send(json.dumps({"id": message_id, **message}).encode())
            received, reply = waiting.get(timeout=REPLY_SECONDS)
        except (Timeout, GreenletExit) as error:
            self._given_up.add(message_id)
            if isinstance(error, GreenletExit):  # the run ends
                raise
            raise OperationError(f"no reply within {REPLY_SECONDS:g} s") from None
        finally:
            self._waiting.pop(message_id, None)
        if reply.get("type") != reply_type:
            raise UnexpectedReplyError(reply.get("type"))
        return (received - sent) / 1e9, reply

    def create_blob(self, data: object = "") -> str:
        """Have Studio create a blob; return its id."""
        blob = {"processor_id": "load", "schema_id": "load", "data": data}
        _, created = self.ask({"type": "create_blob", "data": blob}, reply_type="blob.created")
        try:
            return str(created["data"]["id"])
        except (LookupError, TypeError):
            raise UnexpectedReplyError(None) from None

    def stop_reading(self) -> None:
        """Leave what comes from now on in the kernel's buffer, and then in the gateway's."""
        self._may_read.clear()

    def close(self) -> None:
        """Close in order: Close frame, the other side's, end of the TCP connection."""
        self._may_read.set()
        if self.open:
            self._protocol.send_close(1000)
            with contextlib.suppress(OSError):  # it has ended by itself
                self._flush()
                self._reader.join(CLOSE_SECONDS)
        self.abort()
        self._reader.join(CLOSE_SECONDS)

    def abort(self) -> None:
        """Reset it, as a client that loses its network."""
        self._wire.reset()
        self._may_read.set()
        self._finish()

    def _shake_hands(self, headers: Mapping[str, str]) -> None:
        request = self._protocol.connect()
        request.headers.update(headers)
        self._protocol.send_request(request)
        at, more = 0, True
        events: Sequence[object] = ()
        try:
            self._flush()
            while more and not events:
                at, more = self._receive()
                events = self._protocol.events_received()
        except OSError as error:
            late = isinstance(error, TimeoutError)
            words = f"no answer within {CONNECT_SECONDS:g} s" if late else error.strerror
            raise OperationError(f"cut in the handshake: {words}") from None
        refusal = self._protocol.handshake_exc
        if isinstance(refusal, InvalidStatus):
            raise RefusedError(refusal.response.status_code, *_reason(refusal.response))
        if refusal is not None or not events:
            raise OperationError("cut in the handshake: no valid answer")
        self._wire.set_timeout(None)
        self._take(events, at)

    def _receive(self) -> tuple[int, bool]:
        """Read once; return when that arrived, and whether it was not the end."""
        data, at = self._wire.receive()
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        return at, bool(data)

    def _read(self) -> None:
        try:
            more = self._go_on()  # a Close frame may have come with the response to the handshake
            while more:
                self._may_read.wait()
                at, more = self._receive()
                self._take(self._protocol.events_received(), at)
                more = self._go_on() and more
        except OSError:
            pass  # cut; what was received until then says how
        finally:
            self._wire.close()
            self._finish()

    def _go_on(self) -> bool:
        """Send what is due, notice a Close frame, and return whether more can come."""
        self._flush()
        if self._protocol.close_rcvd is not None:
            self._finish()  # for users it ends here; the other side closes the TCP connection
        return self._protocol.state is not CLOSED

    def _finish(self) -> None:
        if self.code is None:
            received = self._protocol.close_rcvd
            self.code = NO_CLOSE_FRAME if received is None else str(int(received.code))
            for waiting in list(self._waiting.values()):
                waiting.set_exception(ClosedError(self.code))
            self._on_end(self.code)

    def _take(self, events: Sequence[object], at: int) -> None:
        for frame in events:
            if isinstance(frame, Frame) and frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                self._fragments.append(bytes(frame.data))
                if frame.fin:
                    message = b"".join(self._fragments)
                    self._fragments.clear()
                    self._received(message, at)

    def _received(self, message: bytes, at: int) -> None:
        try:
            document = json.loads(message)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            document = {}  # not a reply, and an event of no type
        message_id = document.get("id")
        if not isinstance(message_id, str):
            message_id = ""
        # Removed at once, so that a duplicate, even in the same read, is not taken for the reply.
        waiting = self._waiting.pop(message_id, None)
        if waiting is not None:
            waiting.set((at, document))
        elif message_id in self._given_up:
            self._given_up.discard(message_id)  # it is late, which was reported already
        else:
            self._on_event(document, at)

    def _flush(self) -> int:
        chunks = self._protocol.data_to_send()
        data = b"".join(chunks)
        at = self._wire.send(data) if data else 0
        if chunks and not chunks[-1]:  # the protocol's way to say that nothing follows
            self._wire.end()
        return at


def _reason(refusal: Response) -> tuple[str, str]:
    """Return `code` and `error` of a refusal's JSON object (spec §1), or "" and the beginning of its text."""
    text = (refusal.body or b"").decode(errors="replace")
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    fields = said if isinstance(said, dict) else {}
    code, words = str(fields.get("code", "")), str(fields.get("error", text))
    return code if _CODE.fullmatch(code) else "", " ".join(words.split())[:MOST_REASON]
