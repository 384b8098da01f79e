"""One client's connection: its messages, its faults, and its entries in the log."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, Protocol

from websockets.frames import EXTERNAL_CLOSE_CODES, Frame

from memmie_fake_base import EventLog, redact
from memmie_fake_studio.handshake import StudioProtocol
from memmie_fake_studio.settings import StudioSettings
from memmie_fake_studio.subscriptions import Subscriptions
from memmie_fake_studio.wire import Message, Wire

_MAX_LOGGED_TEXT: Final = 256
"""Characters of the longest text message that is logged in full."""

_MAX_FAULTS: Final = 100
"""How many faults may wait on one connection."""


class DueFault(Protocol):
    """The part of a connection's fault that the connection uses."""

    @property
    def after_messages(self) -> int:
        """How many data messages are received and answered before it acts."""

    def act(self, connection: Connection) -> None:
        """Misbehave on the connection."""


class Connection:
    """One open WebSocket of one user.

    Args:
        connection_id: identifies it in the log and in `/_control/connections/{id}`.
        user_id: the user; empty on the health and echo routes.
        path: the route it was opened on.
        protocol: the WebSocket protocol, after the handshake was accepted.
        transport: the TCP connection.
        settings: the fake Studio's settings.
        log: the fake Studio's log.
        answer: called with each message, to answer it.
        lost: called once, when the connection is lost.

    Attributes:
        id: the connection's id.
        user_id: the user; empty on the health and echo routes.
        session_id: a UUID, which the greeting contains.
        path: the route it was opened on.
        subscriptions: the events that the client wants.
        wire: sends and receives the frames; faults use it, too.
        received: how many data messages were received.
        sent: how many data messages were sent or queued.
    """

    def __init__(
        self,
        connection_id: str,
        *,
        user_id: str,
        path: str,
        protocol: StudioProtocol,
        transport: asyncio.Transport,
        settings: StudioSettings,
        log: EventLog,
        answer: Callable[[Connection, Message], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self.id = connection_id
        self.user_id = user_id
        self.session_id = str(uuid.uuid4())
        self.path = path
        self.subscriptions = Subscriptions()
        self.wire = Wire(protocol, transport, settings, self)
        self.received = 0
        self.sent = 0
        self._settings = settings
        self._log = log
        self._answer = answer
        self._lost = lost
        self._faults: list[tuple[int, DueFault]] = []
        self._opened = time.time()

    def __repr__(self) -> str:
        return f"<Connection {self.id} of {self.user_id!r} on {self.path}, {self.received} received, {self.sent} sent>"

    @property
    def is_health_check(self) -> bool:
        """Whether it was opened on a route for health checks."""
        return self.path.endswith("/health")

    def describe(self) -> dict[str, Any]:
        """Return the connection as JSON."""
        return {
            "id": self.id,
            "user_id": self.user_id,
            "session_id": self.session_id,
            "path": self.path,
            "opened": self._opened,
            "received": self.received,
            "sent": self.sent,
        }

    def reply(self, message: Message) -> None:
        """Send a reply; it is never dropped (see `Wire`)."""
        self.sent += 1
        self.wire.reply(message)

    def push(self, message: Message) -> None:
        """Send or queue an event; a client that lets the queue fill up is disconnected (see `Wire`)."""
        self.sent += 1
        self.wire.push(message)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake.

        Raises:
            ValueError: the code must not be sent (RFC 6455 §7.4), or the reason is longer than 123 bytes.
        """
        check_close(code, reason)
        self.wire.close(code, reason)

    def abort(self) -> None:
        """Abort the TCP connection without a Close frame."""
        self.wire.abort("aborted")

    def strike(self, fault: DueFault) -> None:
        """Let a fault act, at once or after its messages.

        Raises:
            ValueError: too many faults wait on this connection.
        """
        if len(self._faults) >= _MAX_FAULTS:
            raise ValueError(
                f"connection: {self.id} already has {_MAX_FAULTS} faults that wait for a message"
            )
        if fault.after_messages:
            self._faults.append((self.received + fault.after_messages, fault))
        else:
            fault.act(self)

    # Called by the wire.

    def message_received(self, message: Message) -> None:
        """Log and answer a message, then let the faults act that waited for it."""
        self.received += 1
        if self._settings.log_messages:
            self._log_message(message)
        self._answer(self, message)
        if self._faults:
            due = [fault for at, fault in self._faults if at <= self.received]
            self._faults = [(at, fault) for at, fault in self._faults if at > self.received]
            for fault in due:
                fault.act(self)

    def _log_message(self, message: Message) -> None:
        data = message.encode() if isinstance(message, str) else message
        entry = self._log.add(
            "message",
            connection=self.id,
            user_id=self.user_id,
            opcode="text" if isinstance(message, str) else "binary",
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        if isinstance(message, str) and len(message) <= _MAX_LOGGED_TEXT:
            entry["text"] = redact(message)

    def control_received(self, frame: Frame) -> None:
        """Log a ping, pong or Close frame."""
        if self._settings.log_messages:
            self._log.add(
                "control",
                connection=self.id,
                user_id=self.user_id,
                opcode=frame.opcode.name.lower(),
                size=len(frame.data),
            )

    def wire_lost(self) -> None:
        """Log how the connection ended."""
        protocol = self.wire.protocol
        # The side that sent the first Close frame has closed; without one, the side that aborted the connection.
        if protocol.close_sent is not None and not protocol.close_rcvd_then_sent:
            closed_by, close = "studio", protocol.close_sent
        elif protocol.close_rcvd is not None:
            closed_by, close = "client", protocol.close_rcvd
        else:
            closed_by, close = ("studio" if self.wire.abort_reason else "client"), None
        self._log.add(
            "close",
            connection=self.id,
            user_id=self.user_id,
            code=int(close.code) if close else 1006,
            reason=close.reason if close else "",
            closed_by=closed_by,
            clean=protocol.close_sent is not None and protocol.close_rcvd is not None,
            because=self.wire.abort_reason,
            received=self.received,
            sent=self.sent,
        )
        self._lost(self)


def check_close(code: int, reason: str) -> None:
    """Check the code and the reason of a Close frame.

    Raises:
        ValueError: the code must not be sent (RFC 6455 §7.4), or the reason does not fit a control frame (§5.5).
    """
    if code not in EXTERNAL_CLOSE_CODES and not 3000 <= code <= 4999:
        raise ValueError(f"code: {code} is given; allowed: 1000-1003, 1007-1014, 3000-4999")
    if len(reason.encode()) > 123:
        raise ValueError(f"reason: {len(reason.encode())} bytes are given; allowed: at most 123")
