"""Studio's answer to each type of message (spec §4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from memmie_fake_base.bodies import optional, parse_object, required, strings
from memmie_fake_base.problems import Problem
from memmie_fake_studio.connection import Connection
from memmie_fake_studio.content import Content
from memmie_fake_studio.events import ContentEvents
from memmie_fake_studio.hub import encode
from memmie_fake_studio.wire import Message

Reply = dict[str, Any]
"""A reply before it is encoded."""


class Conversation:
    """Answers messages, one at a time; the table in `__init__` lists every type of message that Studio knows.

    Args:
        content: where blobs and buckets are stored.
        events: publishes changes to the user's other connections.
    """

    def __init__(self, content: Content, events: ContentEvents) -> None:
        self._content = content
        self._events = events
        self._answers: dict[str, Callable[[Connection, dict[str, Any]], Reply]] = {
            "heartbeat": self._heartbeat,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "create_blob": self._create_blob,
            "update_blob": self._update_blob,
            "create_bucket": self._create_bucket,
        }

    def answer(self, connection: Connection, message: Message) -> None:
        """Reply to a message; a bad message gets an `error` with the request's id, and the connection stays open."""
        request_id: Any = None
        try:
            request = _parse(message)
            request_id = request.get("id")
            reply = self._reply(connection, request)
        except Problem as problem:
            reply = {"type": "error", "error": problem.message}
        if request_id is not None:
            reply = {"id": request_id, **reply}
        connection.reply(encode(reply))

    def _reply(self, connection: Connection, request: dict[str, Any]) -> Reply:
        message_type = required(request, "type", str)
        answer = self._answers.get(message_type)
        if answer is None:
            known = ", ".join(self._answers)
            raise Problem(400, "unknown_type", f"type {message_type!r} is unknown; allowed: {known}")
        return answer(connection, optional(request, "data", dict) or {})

    def _heartbeat(self, _: Connection, __: dict[str, Any]) -> Reply:
        return {"type": "ack"}

    def _subscribe(self, connection: Connection, data: dict[str, Any]) -> Reply:
        connection.subscriptions.subscribe(strings(data, "types"), strings(data, "bucket_ids"))
        return {"type": "ack"}

    def _unsubscribe(self, connection: Connection, data: dict[str, Any]) -> Reply:
        connection.subscriptions.unsubscribe(strings(data, "types"), strings(data, "bucket_ids"))
        return {"type": "ack"}

    def _create_blob(self, connection: Connection, data: dict[str, Any]) -> Reply:
        blob = self._content.create_blob(connection.user_id, data)
        self._events.blob_created(blob, by=connection)
        return {"type": "blob.created", "data": asdict(blob)}

    def _update_blob(self, connection: Connection, data: dict[str, Any]) -> Reply:
        blob = self._content.update_blob(connection.user_id, data)
        self._events.blob_updated(blob, by=connection)
        return {"type": "blob.updated", "data": asdict(blob)}

    def _create_bucket(self, connection: Connection, data: dict[str, Any]) -> Reply:
        bucket = self._content.create_bucket(connection.user_id, data)
        self._events.bucket_created(bucket, by=connection)
        return {"type": "bucket.created", "data": asdict(bucket)}


def _parse(message: Message) -> dict[str, Any]:
    """Return a message as a JSON object.

    Raises:
        Problem: the message is binary, not JSON or not an object.
    """
    if isinstance(message, bytes):
        raise Problem(400, "bad_message", "the message is binary; JSON text is expected")
    return parse_object(message)
