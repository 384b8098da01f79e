"""The limits and time-outs of forwarded requests."""

from __future__ import annotations

from dataclasses import dataclass

from memmie_gateway.net.ingress.body import BodyLimit


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The limits and time-outs of forwarded requests.

    Attributes:
        allowed_origins: origins of pages that may send requests; "*" for all.
        max_body: maximum size of the body of a request.
        connect_seconds: maximum time to connect to a service.
        body_seconds: maximum time until the body of a request is complete.
        idle_seconds: maximum time in which neither side sends or takes anything.
        total_seconds: maximum time for a request and its answer, except for streams of events.
        live_seconds: time after which a response that is still streaming is a live connection.
        silent_seconds: time after which a live response of a dead backend is cut if nothing came meanwhile; 0 for never.
    """

    allowed_origins: tuple[str, ...]
    max_body: BodyLimit
    connect_seconds: float
    body_seconds: float
    idle_seconds: float
    total_seconds: float
    live_seconds: float
    silent_seconds: float
