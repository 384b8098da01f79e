"""Messages and their replies over one connection: a reply has the message's id (spec §4)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from gevent import GreenletExit, Timeout
from gevent.event import AsyncResult

from loadtests.users.connection import Connection
from loadtests.users.outcomes import ClosedError, OperationError, UnexpectedReplyError

REPLY_SECONDS: Final = 10.0

BLOB_UPDATED: Final = "blob.updated"

Document = dict[str, Any]


class Conversation:
    """A connection with requests and replies.

    Args:
        url: where to.
        headers: more headers of the handshake.
        on_event: called with each message that is not an expected reply, and when it arrived (nanoseconds, see `Wire`).
        on_end: see `Connection`.
        buffer_bytes: see `Wire`.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        on_end: Callable[[str], None],
        on_event: Callable[[Document, int], None] | None = None,
        buffer_bytes: int | None = None,
    ) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[str, AsyncResult] = {}
        self._given_up: set[str] = set()
        self._on_event = on_event
        self._told_end = on_end
        self.connection = Connection(
            url, headers, on_message=self._received, on_end=self._ended, buffer_bytes=buffer_bytes
        )

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self.connection.open

    def ask(
        self, message: Document, *, reply_type: str, message_id: str | None = None
    ) -> tuple[float, Document]:
        """Send a message and wait for its reply.

        Args:
            message: without its id.
            reply_type: what the reply must be.
            message_id: the id; None takes the next number.

        Returns:
            the seconds between the two, and the reply.

        Raises:
            OperationError: there was no such reply.
        """
        message_id = message_id or str(next(self._numbers))
        waiting = self._waiting[message_id] = AsyncResult()
        try:
            sent = self.connection.send(json.dumps({"id": message_id, **message}).encode())
            received, reply = waiting.get(timeout=REPLY_SECONDS)
        except Timeout:
            self._given_up.add(message_id)
            raise OperationError(f"no reply within {REPLY_SECONDS:g} s") from None
        except GreenletExit:  # the run ends
            self._given_up.add(message_id)
            raise
        finally:
            self._waiting.pop(message_id, None)
        if reply.get("type") != reply_type:
            raise UnexpectedReplyError(reply.get("type"))
        return (received - sent) / 1e9, reply

    def create_blob(self, data: object = "") -> str:
        """Have Studio create a blob; return its id.

        Raises:
            OperationError: there was no such reply.
        """
        blob = {"processor_id": "load", "schema_id": "load", "data": data}
        _, created = self.ask({"type": "create_blob", "data": blob}, reply_type="blob.created")
        try:
            return str(created["data"]["id"])
        except (LookupError, TypeError):
            raise UnexpectedReplyError(None) from None

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
        elif self._on_event is not None:
            self._on_event(document, at)

    def _ended(self, code: str) -> None:
        for waiting in list(self._waiting.values()):
            waiting.set_exception(ClosedError(code))
        self._told_end(code)
