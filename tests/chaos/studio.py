"""A fake Studio that writes a journal: each numbered message is on disk before it is acknowledged.

A Studio that is killed loses its log, but not the journal. It has one line a message: `USER NUMBER CONNECTION`. The number
is the id of the message, or `data.id` if a gateway has made the id. For a blob that comes in a POST, the number is
`data.number`, and the connection is `POST`.

A connection that has sent `watch` gets an event for each numbered message of its user that comes on another connection.
The events of one connection have a sequence of their own, so what is lost or doubled on the way shows at once. Each
`watch` is answered with the number of events that were sent before.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any, Final

from memmie_fake_base import cli
from memmie_fake_studio.connection import Connection
from memmie_fake_studio.content import Blob, Content
from memmie_fake_studio.conversation import Conversation
from memmie_fake_studio.events import ContentEvents
from memmie_fake_studio.hub import encode
from memmie_fake_studio.routes import Routes
from memmie_fake_studio.studio import FakeStudio
from memmie_fake_studio.wire import Message

POST: Final = "POST"
"""The connection of a message that came over HTTP."""


@dataclass
class Watching:
    """A connection that watches its user."""

    connection: Connection
    sequence: int = 0


@dataclass
class Journal:
    """The journal's file and those who watch."""

    name: str
    path: str
    watching: dict[str, dict[str, Watching]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, user_id: str, number: str, connection_id: str) -> None:
        """Append a message; it is in the kernel's hands afterwards, where SIGKILL does not reach it."""
        os.write(self._file, f"{user_id} {number} {connection_id}\n".encode())

    def watch(self, connection: Connection) -> int:
        """Let a connection watch; return how many events it was sent so far."""
        of_user = self.watching.setdefault(connection.user_id, {})
        return of_user.setdefault(connection.id, Watching(connection)).sequence

    def tell(self, user_id: str, number: str, open_ids: set[str]) -> None:
        """Send an event to those who watch the user, and forget those whose connection has ended."""
        of_user = self.watching.get(user_id, {})
        for connection_id in [each for each in of_user if each not in open_ids]:
            del of_user[connection_id]
        for each in of_user.values():
            each.sequence += 1
            each.connection.push(
                encode({"type": "numbered", "data": {"number": int(number), "sequence": each.sequence}})
            )


class Witnessed(Conversation):
    """Studio's answers, with the journal."""

    def __init__(self, studio: JournalStudio, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._studio = studio

    def answer(self, connection: Connection, message: Message) -> None:
        request = json.loads(message)
        journal = self._studio.journal
        data: dict[str, Any] = {"studio": journal.name}
        if request["type"] == "watch":
            data["pushed"] = journal.watch(connection)
        elif request["type"] == "heartbeat" and not connection.is_health_check:
            number = request.get("data", request)["id"]
            journal.write(connection.user_id, number, connection.id)
            journal.tell(connection.user_id, number, self._studio.open_ids)
        else:
            super().answer(connection, message)
            return
        connection.reply(encode({"id": request["id"], "type": "ack", "data": data}))


class JournaledContent(Content):
    """Blobs that are in the journal before they are created."""

    def __init__(self, max_items: int, journal: Journal) -> None:
        super().__init__(max_items)
        self._journal = journal

    def create_blob(self, user_id: str, body: dict[str, Any]) -> Blob:
        self._journal.write(user_id, body["data"]["number"], POST)
        return super().create_blob(user_id, body)


class JournalStudio(FakeStudio):
    """A fake Studio with a journal."""

    def __init__(self, host: str, port: int, journal: Journal) -> None:
        super().__init__(host, port, log_messages=False)
        self.journal = journal
        content, events = JournaledContent(self.settings.max_items, journal), ContentEvents(self._hub)
        self._conversation = Witnessed(self, content, events)
        self._routes = Routes(content, events, self._authenticator)

    @property
    def open_ids(self) -> set[str]:
        """The ids of all open connections."""
        return set(self._hub._by_id)


def main() -> None:
    """Serve: `python -m tests.chaos.studio NAME JOURNAL PORT`."""
    name, path, port = sys.argv[1:]
    asyncio.run(cli._serve(JournalStudio("127.0.0.1", int(port), Journal(name, path))))


if __name__ == "__main__":
    main()
