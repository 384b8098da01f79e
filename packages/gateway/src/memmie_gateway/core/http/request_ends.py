"""Why a forwarded request ended before its answer was complete."""

from __future__ import annotations

from memmie_gateway.core.http.deadlines import Late
from memmie_gateway.core.http.routes import Service
from memmie_gateway.core.outcomes import Cause


def why_cancelled(late: Late | None, service: Service, *, gone: bool, answered: bool) -> tuple[Cause, str]:
    """Return the cause, and the text for the client, of a request that was cancelled.

    Args:
        late: what was late, if anything was.
        service: the service.
        gone: whether the client has left.
        answered: whether the answer has begun.
    """
    if gone:
        return Cause.CLIENT_LEFT, ""
    if late is None:
        return Cause.DRAINING, ""
    if late is Late.BODY or (late is Late.CLIENT and not answered):
        return Cause.HEAD_LATE, "the request body took too long to arrive"
    if late is Late.CLIENT:
        return Cause.CLIENT_SILENT, "the client takes nothing"
    return Cause.AUTH_TIMEOUT if service is Service.AUTH else Cause.BACKEND_TIMEOUT, ""


def broke_off(service: Service) -> Cause:
    """Return the cause if a service did not give a complete answer."""
    return Cause.AUTH_BROKE_OFF if service is Service.AUTH else Cause.BACKEND_BROKE_OFF
