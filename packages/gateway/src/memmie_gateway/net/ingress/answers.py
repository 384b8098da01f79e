"""Answers of the gateway itself to a client's request."""

from __future__ import annotations

import asyncio
import time

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.refusals import RefusedError, refusal_answer
from memmie_gateway.core.http.response import Envelope, http_response
from memmie_gateway.net.handover import Handover


def envelope_of(arrival: Arrival) -> Envelope:
    """Return the envelope of the response to a request."""
    return Envelope(arrival.id, arrival.request.method, time.time())


def refuse(arrival: Arrival, handover: Handover, error: RefusedError) -> None:
    """Send a refusal, and end the connection."""
    handover.end(refusal_answer(error, envelope_of(arrival)), linger=arrival.request.has_body)


def answer(
    arrival: Arrival,
    handover: Handover,
    status: int,
    body: bytes = b"",
    content_type: str = "application/json",
    extra: str = "",
) -> None:
    """Send a response, and end the connection; for the arguments see `core.http.response.http_response`."""
    response = http_response(status, body, content_type, extra, envelope=envelope_of(arrival))
    handover.end(response, linger=arrival.request.has_body)


def report_bug(error: Exception) -> None:
    """Report an error that a client should not have been able to cause."""
    context = {"message": "a client could not be served", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)
