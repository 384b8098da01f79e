"""A client's connection as Studio and its tests see it."""

from __future__ import annotations

import hashlib
import time
import uuid
from typing import TYPE_CHECKING, Any

from websockets.frames import EXTERNAL_CLOSE_CODES

from memmie_fake_base import redact
from memmie_fake_studio.subscriptions import Subscriptions
from memmie_fake_studio.wire import Message, Wire

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from websockets.frames import Frame

    from memmie_fake_base import EventLog
    from memmie_fake_studio.faults.fault import ConnectionFault
    from memmie_fake_studio.handshake import StudioProtocol
    from memmie_fake_studio.settings import StudioSettings

_LONGEST_LOGGED_TEXT = 256
_MOST_FAULTS = 100


class Connection:
    """One open WebSocket of one user.

    Args:
        connection_id: names it in the log and in `/_control/connections/{id}`.
        user_id: whose it is; empty on the health and echo routes.
        path: the route it was opened on.
        protocol: the accepted handshake.
        transport: the TCP connection.
        settings: Studio's.
        log: Studio's.
        answer: what Studio does with a message.
        lost: called once, when the connection is gone.

    Attributes:
        id: the connection's id.
        user_id: see above.
        session_id: a UUID, as in the greeting.
        path: see above.
        subscriptions: which events the client wants.
        wire: the frames' way in and out (faults reach for it).
        received: how many data messages have arrived.
        sent: how many data messages have been sent.
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
        self._faults: list[tuple[int, ConnectionFault]] = []
        self._opened = time.time()

    def __repr__(self) -> str:
        return f"<Connection {self.id} of {self.user_id!r} on {self.path}, {self.received} received, {self.sent} sent>"

    def describe(self) -> dict[str, Any]:
        """Return it as JSON."""
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
        """Send an answer; never dropped (see `Wire`)."""
        self.sent += 1
        self.wire.reply(message)

    def push(self, message: Message) -> None:
        """Send an event; a client that reads none of them for long is disconnected (see `Wire`)."""
        self.sent += 1
        self.wire.push(message)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a code and a reason.

        Raises:
            ValueError: the code may not be sent (RFC 6455 §7.4), or the reason is longer than 123 bytes.
        """
        check_close(code, reason)
        self.wire.close(code, reason)

    def abort(self) -> None:
        """Cut the TCP connection without a close frame."""
        self.wire.cut("aborted")

    def strike(self, fault: ConnectionFault) -> None:
        """Let a fault act, now or after its messages."""
        if len(self._faults) >= _MOST_FAULTS:
            raise ValueError(f"connection: {_MOST_FAULTS} faults wait on {self.id} already")
        if fault.after_messages:
            self._faults.append((self.received + fault.after_messages, fault))
        else:
            fault.act(self)

    # Called by the wire.

    def message_received(self, message: Message) -> None:
        """Log a message, answer it, then let the faults act that waited for it."""
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
        if isinstance(message, str) and len(message) <= _LONGEST_LOGGED_TEXT:
            entry["text"] = redact(message)

    def control_received(self, frame: Frame) -> None:
        """Log a ping, pong or close frame."""
        if self._settings.log_messages:
            self._log.add(
                "control",
                connection=self.id,
                user_id=self.user_id,
                opcode=frame.opcode.name.lower(),
                size=len(frame.data),
            )

    def wire_lost(self) -> None:
        """Log how it ended."""
        protocol = self.wire.protocol
        # The close frame that came first says who closed; without one, whoever cut the connection.
        if protocol.close_sent is not None and not protocol.close_rcvd_then_sent:
            closed_by, close = "studio", protocol.close_sent
        elif protocol.close_rcvd is not None:
            closed_by, close = "client", protocol.close_rcvd
        else:
            closed_by, close = ("studio" if self.wire.cut_because else "client"), None
        self._log.add(
            "close",
            connection=self.id,
            user_id=self.user_id,
            code=int(close.code) if close else 1006,
            reason=close.reason if close else "",
            closed_by=closed_by,
            clean=protocol.close_sent is not None and protocol.close_rcvd is not None,
            because=self.wire.cut_because,
            received=self.received,
            sent=self.sent,
        )
        self._lost(self)


def check_close(code: int, reason: str) -> None:
    """Check what a close frame may say.

    Raises:
        ValueError: the code may not be on the wire (RFC 6455 §7.4), or the reason does not fit a control frame (§5.5).
    """
    if code not in EXTERNAL_CLOSE_CODES and not 3000 <= code <= 4999:
        raise ValueError(f"code: {code} given, allowed: 1000-1003, 1007-1014, 3000-4999")
    if len(reason.encode()) > 123:
        raise ValueError(f"reason: {len(reason.encode())} bytes given, at most 123 allowed")
