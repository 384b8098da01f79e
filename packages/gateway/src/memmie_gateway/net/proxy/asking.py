"""What an exchange needs of the client that asks services (see `upstream`, which is imported only if there are HTTP routes)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, Self

from memmie_gateway.core.http.response import Response
from memmie_gateway.net.http1.url import ServiceUrl

ReadBody = Callable[[], Awaitable[bytes]]
"""Returns the next part of the body of a request, b"" at its end."""


class BrokenError(Exception):
    """A service has not given a complete answer to a request of which something was sent; the message says why."""

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Make one of an error of the HTTP client, but without the URL, because its query may hold secrets."""
        return cls(str(getattr(error, "message", "") or error) or type(error).__name__)


class Answer(Protocol):
    """The answer of a service."""

    @property
    def head(self) -> Response:
        """Its status and header fields."""

    async def read(self) -> bytes:
        """Return the next part of the body, b"" at its end.

        Raises:
            BrokenError: the service has ended the connection before the end of the body.
        """

    def close(self, *, complete: bool) -> None:
        """Give up the answer; if it and its request are complete, the connection is used again."""


class Link(Protocol):
    """A connection to a service that is open, and on which nothing of the request has been sent yet."""

    async def answer(self) -> Answer:
        """Send the request, and return the answer as soon as its head has come.

        Raises:
            BrokenError: the service has ended the connection, or its answer is not HTTP.
        """

    def abandon(self) -> None:
        """Drop the connection."""


class Upstream(Protocol):
    """Connects to services."""

    async def start(self) -> None:
        """Make the client."""

    async def stop(self) -> None:
        """Close all connections."""

    async def connect(
        self,
        where: ServiceUrl,
        method: str,
        target: str,
        fields: list[tuple[str, str]],
        body: ReadBody | None,
        seconds: float,
    ) -> Link:
        """Connect to a service, or take a connection that is idle.

        Args:
            where: the service, of which path and query are not used.
            method: the method of the request.
            target: its path and query, which are sent byte by byte.
            fields: its header fields.
            body: the body of the request; None if there is none.
            seconds: maximum time to connect.

        Raises:
            DialError: the service cannot be reached.
            ExhaustionError: a local resource is exhausted.
        """
