"""The part of the toy gateway that chooses a backend and connects to it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from urllib.parse import SplitResult

from tests.mutants.answers import READ_AHEAD, BackendRefusedError, RefusedError, closed
from tests.mutants.rewriting import Rewriting

from memmie_harness.conformance.peers import Head, parse_head

EJECTION_USERS = 5

Backend = tuple[asyncio.StreamReader, asyncio.StreamWriter, Head]
"""A connection to a backend, and its 101."""


class Backends(Rewriting):
    """Connects clients to backends.

    Args:
        studios: the addresses of the backends.
    """

    def __init__(self, studios: list[SplitResult]) -> None:
        self.studios = studios
        self.broken: dict[int, set[str]] = defaultdict(set)
        """The users whose connections a backend has broken, by its port."""

    async def dial(self, head: Head, user: str, token: str, writer: asyncio.StreamWriter | None) -> Backend:
        """Connect to a backend, and answer the client as the backend answers, unless it has its answer already."""
        refusal = RefusedError(502)
        for studio in self.choose(user):
            try:
                reader, backend, answer = await self.try_one(studio, head, user, token)
            except BackendRefusedError:
                raise
            except RefusedError as error:
                refusal = error
                continue
            if writer is not None:
                writer.write(self.client_answer(head, answer, token))
            return reader, backend, answer
        raise refusal

    async def try_one(self, studio: SplitResult, head: Head, user: str, token: str) -> Backend:
        """Connect to one backend."""
        try:
            reader, backend = await asyncio.open_connection(studio.hostname, studio.port, limit=READ_AHEAD)
        except OSError:
            raise RefusedError(502) from None
        try:
            backend.write(self.backend_request(studio.netloc, head, user, token))
            return reader, backend, await self.read_answer(head, reader)
        except BaseException:
            await closed(backend)
            raise

    async def read_answer(self, head: Head, reader: asyncio.StreamReader) -> Head:
        """Return the 101 of a backend; any other answer is raised as that for the client."""
        try:
            answer = parse_head(await reader.readuntil(b"\r\n\r\n"))
            status = answer.status if answer.first_line.startswith("HTTP/1.1 ") else 0
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError):
            raise RefusedError(502) from None
        if 400 <= status < 500:
            raise BackendRefusedError(status, await self.passed_refusal(answer, reader))
        if not self.accepts(head, answer, status):
            raise RefusedError(502)
        return answer

    def choose(self, user: str) -> list[SplitResult]:
        """Return the backends to try for a user, the best one first."""
        home = self.home(user)
        order = [*self.studios[home:], *self.studios[:home]]
        return sorted(order, key=self.is_ejected)

    def home(self, user: str) -> int:
        """Return the index of the backend on which a user is at best."""
        return sum(user.encode()) % len(self.studios)

    def is_ejected(self, studio: SplitResult) -> bool:
        """Tell whether a backend gets no new connections because it breaks them."""
        return len(self.broken[studio.port or 0]) >= EJECTION_USERS

    def broke(self, port: int, user: str) -> None:
        """Note that a backend has broken a connection."""
        self.broken[port].add(user)
