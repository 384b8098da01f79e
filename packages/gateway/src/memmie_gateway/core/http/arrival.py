"""A request with the address of its client, its request id and its trace context."""

from __future__ import annotations

import re
from typing import Final

from memmie_gateway.core.http.client_address import Client
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.record import record

_REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACEPARENT: Final = re.compile(  # W3C Trace Context §3.2: neither version ff nor an id of zeros alone
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)

_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16  # invalid ids
_ANY_IDS: Final = f"{1:032x}{1:016x}"

RANDOM_BYTES: Final = 40
"""Maximum number of random bytes that the ids of one request need."""


@record
class Arrival:
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


def arrive(request: Request, client: Client, random: bytes) -> Arrival:
    """Make an arrival; ids that the client did not send, or that are invalid, are made from `RANDOM_BYTES` `random` bytes."""
    return Arrival(
        request,
        client,
        request_id(request, random[:16]),
        traceparent(request, random[16:]),
    )


def request_id(request: Request, random: bytes) -> str:
    """Return the client's X-Request-ID if it is valid, otherwise a new one made from 16 `random` bytes."""
    for value in request.headers.get(b"x-request-id") or ():
        if _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return random.hex()


def traceparent(request: Request, random: bytes) -> str:
    """Return the client's traceparent if it is valid, otherwise a new one made from 24 `random` bytes."""
    for value in request.headers.get(b"traceparent") or ():
        if _TRACEPARENT.fullmatch(value):
            return value.decode("ascii")
    digits = random.hex()
    if digits.startswith(_NO_TRACE) or digits.endswith(_NO_SPAN):
        digits = _ANY_IDS
    return f"00-{digits[:32]}-{digits[32:]}-01"
