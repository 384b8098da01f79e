"""The ids of connections that have just ended, because their clients may send requests before they know of the end."""

from __future__ import annotations

from typing import Final

MOST: Final = 1024
"""Maximum number of connections that are remembered; the oldest one is forgotten first."""

SECONDS: Final = 10.0
"""Time for which a connection is remembered."""

REQUESTS: Final = 2
"""Number of late requests of a connection: a GET and a POST."""


class EndedSids:
    """Recognises the late requests of connections; who knows such an id had the connection, and has not guessed it."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, int]] = {}  # the time until which, and the number of requests

    def __repr__(self) -> str:
        """Leave out the ids, because they are secrets."""
        return f"<EndedSids {len(self._left)}>"

    def add(self, sid: str, now: float) -> None:
        """Remember a connection that has ended.

        Args:
            sid: its id.
            now: a time in seconds.
        """
        self._left[sid] = (now + SECONDS, REQUESTS)
        if len(self._left) > MOST:
            del self._left[next(iter(self._left))]

    def take(self, sid: str, now: float) -> bool:
        """Tell whether a request is a late one of a connection; the next calls tell it of the next requests.

        Args:
            sid: the id in the request.
            now: a time in seconds.
        """
        until, requests = self._left.pop(sid, (now, 0))
        if until <= now:
            return False
        if requests > 1:
            self._left[sid] = (until, requests - 1)
        return True
