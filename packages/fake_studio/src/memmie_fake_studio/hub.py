"""The live connections, and publishing events to those of a user."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Collection
from typing import Any

from memmie_fake_studio.connection import Connection


def encode(message: dict[str, Any]) -> str:
    """Return a message of Studio as JSON text, with its `timestamp` in unix seconds."""
    return json.dumps({**message, "timestamp": int(time.time())}, separators=(",", ":"))


class Hub:
    """The live connections of this Studio, by id and by user."""

    def __init__(self) -> None:
        self._by_id: dict[str, Connection] = {}
        self._by_user: dict[str, dict[str, Connection]] = {}
        self._none_left = asyncio.Event()

    def add(self, connection: Connection) -> None:
        """Add an open connection."""
        self._by_id[connection.id] = connection
        self._by_user.setdefault(connection.user_id, {})[connection.id] = connection

    def remove(self, connection: Connection) -> None:
        """Remove a lost connection."""
        self._by_id.pop(connection.id, None)
        of_user = self._by_user.get(connection.user_id, {})
        of_user.pop(connection.id, None)
        if not of_user:
            self._by_user.pop(connection.user_id, None)
        if not self._by_id:
            self._none_left.set()

    async def wait_until_empty(self, seconds: float) -> None:
        """Return when no connection is left, or after `seconds`."""
        if self._by_id:
            self._none_left.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._none_left.wait()

    def get(self, connection_id: str) -> Connection | None:
        """Return a live connection, or None."""
        return self._by_id.get(connection_id)

    def all(self) -> list[Connection]:
        """Return every live connection, oldest first."""
        return list(self._by_id.values())

    def publish(
        self,
        user_id: str,
        event_type: str,
        data: Any,
        *,
        bucket_ids: Collection[str] = (),
        but: Connection | None = None,
    ) -> int:
        """Send an event to each of a user's connections that subscribes to it.

        Args:
            user_id: the user.
            event_type: such as `blob.created`.
            data: any JSON value.
            bucket_ids: the buckets that the event belongs to.
            but: the connection that caused the event; it gets a reply instead.

        Returns:
            how many connections the event was sent to.
        """
        subscribers = [
            connection
            for connection in list(self._by_user.get(user_id, {}).values())
            if connection is not but and connection.subscriptions.match(event_type, bucket_ids)
        ]
        if subscribers:
            text = encode({"type": event_type, "data": data})
            for connection in subscribers:
                connection.push(text)
        return len(subscribers)
