"""The live connections, by id and by user, and events to a user's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from memmie_fake_studio.connection import Connection


def encode(message: dict[str, Any]) -> str:
    """Return one of Studio's messages as JSON text, with its `timestamp` (unix seconds)."""
    return json.dumps({**message, "timestamp": int(time.time())}, separators=(",", ":"))


class Hub:
    """Knows every live connection of this Studio."""

    def __init__(self) -> None:
        self._by_id: dict[str, Connection] = {}
        self._by_user: dict[str, dict[str, Connection]] = {}
        self._none_left = asyncio.Event()

    def add(self, connection: Connection) -> None:
        """Take in an open connection."""
        self._by_id[connection.id] = connection
        self._by_user.setdefault(connection.user_id, {})[connection.id] = connection

    def remove(self, connection: Connection) -> None:
        """Let a lost connection go."""
        self._by_id.pop(connection.id, None)
        of_user = self._by_user.get(connection.user_id, {})
        of_user.pop(connection.id, None)
        if not of_user:
            self._by_user.pop(connection.user_id, None)
        if not self._by_id:
            self._none_left.set()

    async def empty(self, seconds: float) -> None:
        """Wait until no connection is left, at most so long."""
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
        """Send an event to a user's connections that want it.

        Args:
            user_id: whose connections.
            event_type: such as `blob.created`.
            data: anything JSON.
            bucket_ids: the buckets the event belongs to.
            but: the connection that caused it and gets a reply instead.

        Returns:
            how many connections it went to.
        """
        wanting = [
            connection
            for connection in list(self._by_user.get(user_id, {}).values())
            if connection is not but and connection.subscriptions.want(event_type, bucket_ids)
        ]
        if wanting:
            text = encode({"type": event_type, "data": data})
            for connection in wanting:
                connection.push(text)
        return len(wanting)
