"""A request with the address of its client, its request id and its trace context."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from memmie_gateway.core.http.client_address import Client
from memmie_gateway.core.http.request import Request

_REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACEPARENT: Final = re.compile(  # W3C Trace Context §3.2: neither version ff nor an id of zeros alone
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)

RANDOM_BITS: Final = 320
"""Maximum number of random bits that the ids of one request need."""


class Arrival(NamedTuple):
    """A request, its client and its ids.

    Attributes:
        request: its head.
        client: the client's address.
        id: the request id, the same in the log, in the request to the backend and in the answer to the client.
        trace: its traceparent (W3C Trace Context).
    """

    request: Request
    client: Client
    id: str
    trace: str

    def __repr__(self) -> str:
        """Leave out parts that may contain secrets."""
        return f"<Arrival {self.id} {self.request!r}>"


def arrive(request: Request, client: Client, bits: int) -> Arrival:
    """Make an arrival; ids that the client did not send, or that are invalid, are made from `RANDOM_BITS` random `bits`."""
    return Arrival(
        request,
        client,
        request_id(request, bits >> 192),
        traceparent(request, bits & (1 << 192) - 1),
    )


def request_id(request: Request, bits: int) -> str:
    """Return the client's X-Request-ID if it is valid, otherwise a new one made from 128 random `bits`."""
    for value in request.headers.get(b"x-request-id") or ():
        if _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return f"{bits:032x}"


def traceparent(request: Request, bits: int) -> str:
    """Return the client's traceparent if it is valid, otherwise a new one made from 192 random `bits`."""
    for value in request.headers.get(b"traceparent") or ():
        if _TRACEPARENT.fullmatch(value):
            return value.decode("ascii")
    trace, span = divmod(bits, 1 << 64)
    return f"00-{trace or 1:032x}-{span or 1:016x}-01"
