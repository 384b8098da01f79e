"""The HTTP routes: which paths are forwarded, to which service and under which path (spec §1).

A path is forwarded byte by byte. So a path that some server would read as another one is refused, because the prefix
that the gateway has compared would then not be the one that the service sees.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import unquote

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods that are forwarded. TRACE would show the service's request to the client, CONNECT asks for a tunnel."""

_ROUTE: Final = re.compile(r"(/[A-Za-z0-9._~/-]*)=(studio|auth):(/[A-Za-z0-9._~/-]*)(?::(token|open))?")

_VALIDATE: Final = "/api/v1/auth/validate"
"""The path at which the gateway itself asks Auth about tokens."""

_BEHIND_NAME: Final = re.compile("[;?#]")
"""Where some servers see the end of the name of a segment; an encoded `?` or `#` is among them if they decode twice."""

_DECODINGS: Final = 3
"""How often a path is decoded to find out what a service may make of it; some decode twice."""


class Service(enum.Enum):
    """The services that requests are forwarded to."""

    STUDIO = "studio"
    AUTH = "auth"

    __hash__ = object.__hash__  # by identity; that of Enum hashes the name, in Python


class HttpRoute(NamedTuple):
    """One HTTP route.

    Attributes:
        prefix: paths with this prefix are forwarded; without a slash at the end, so "" is every path.
        service: the service.
        upstream: what the prefix is replaced by, without a slash at the end.
        authenticated: whether a valid token is needed.
    """

    prefix: str
    service: Service
    upstream: str
    authenticated: bool

    @property
    def name(self) -> str:
        """The prefix as it is written in settings, logs and metrics."""
        return self.prefix or "/"

    @classmethod
    def parse(cls, text: str) -> HttpRoute:
        """Parse a route such as `/api=studio:/api` or `/auth=auth:/api/v1/auth:open`.

        Raises:
            ValueError: it is not a route.
        """
        found = _ROUTE.fullmatch(text)
        if found is None or path_problem(found[1]) or path_problem(found[3]):
            raise ValueError(
                "is not a route such as /api=studio:/api or /auth=auth:/api/v1/auth:open; the service is studio or auth"
            )
        return cls(found[1].rstrip("/"), Service(found[2]), found[3].rstrip("/"), found[4] != "open")

    def covers(self, path: str) -> bool:
        """Tell whether a path has this prefix, which ends at a slash."""
        prefix = self.prefix
        return path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/")

    def path_for(self, path: str) -> str:
        """Return the path at the service."""
        return self.upstream + path[len(self.prefix) :] or "/"

    def hides(self, path: str) -> bool:
        """Tell whether a path of this route is not for clients: where the gateway itself asks Auth about tokens."""
        if self.service is not Service.AUTH:
            return False
        seen = _decoded(self.path_for(path))[-1].replace("\\", "/").lower()
        names = [_BEHIND_NAME.split(segment, maxsplit=1)[0].strip() for segment in seen.split("/")]
        return "/".join(names).rstrip("/") == _VALIDATE


class RouteTable:
    """Finds the route of a path.

    Args:
        routes: the routes; no two have the same prefix.

    Attributes:
        routes: as given, the longest prefix first.
    """

    def __init__(self, routes: Iterable[HttpRoute]) -> None:
        self.routes = sorted(routes, key=lambda route: len(route.prefix), reverse=True)

    def __repr__(self) -> str:
        return f"<RouteTable {', '.join(route.name for route in self.routes)}>"

    def find(self, path: str) -> HttpRoute | None:
        """Return the route with the longest prefix of a path, or None if there is none."""
        for route in self.routes:
            if route.covers(path):
                return route
        return None


def path_problem(path: str) -> str:
    """Return why a path is not forwarded, or "".

    Servers differ in how they read dot segments, empty segments, backslashes and encoded forms of these. So none of them is
    forwarded, however often it is encoded.
    """
    for text in _decoded(path):
        if "//" in text:
            return "the path has an empty segment"
        if "\\" in text:
            return "the path has a backslash"
        if "\0" in text or "\r" in text or "\n" in text:
            return "the path has an encoded control character"
        names = [segment.partition(";")[0] for segment in text.split("/")]
        if "." in names or ".." in names:
            return "the path has a dot segment"
        if "" in names[1:-1]:
            return "the path has a segment without a name"
    if "%2e" in path.lower():
        return "the path has an encoded dot"
    return ""


def _decoded(path: str) -> list[str]:
    """Return a path as it is, decoded once, decoded twice and so on; the last one is decoded most often."""
    texts = [path]
    while len(texts) <= _DECODINGS and "%" in texts[-1]:
        texts.append(unquote(texts[-1], errors="replace"))
    return texts
