"""Answers to the requests of Engine.IO."""

from __future__ import annotations

from typing import Final

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.refusals import RefusedError, refusal_parts
from memmie_gateway.core.http.response import header_lines
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.handshake import Problem
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.ingress import answers

TEXT: Final = "text/plain; charset=UTF-8"
"""The content type of packets."""


class EngineError(RefusedError):
    """A request that breaks the protocol of Engine.IO; its client gets the protocol's own error.

    Args:
        problem: the error.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(Cause.BAD_ENGINE_IO, problem.message)
        self.problem = problem


def refuse_request(arrival: Arrival, handover: Handover, error: RefusedError, extra: str = "") -> None:
    """Refuse a request, and end its connection.

    Args:
        arrival: the request.
        handover: its connection.
        error: the reason.
        extra: further header lines, each with its line end.
    """
    body, fields = refusal_parts(error)
    if isinstance(error, EngineError):
        body = error.problem.body()
    answers.answer(arrival, handover, error.status, body, extra=extra + header_lines(fields))
