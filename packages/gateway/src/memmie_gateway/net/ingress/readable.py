"""The upgrade of a web page that is accepted even if the client is refused, because the page can read only a Close frame."""

from __future__ import annotations

from typing import Final

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import TokenSource
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.websocket import acceptance
from memmie_gateway.core.websocket.control_frames import CLOSE, close_payload, control_frame
from memmie_gateway.core.websocket.readable import ReadableRefusal, readable_refusal
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.ingress.upgrade import NegotiatedEndToEnd

READ_SECONDS: Final = 1.0
"""Maximum time in seconds for which the connection of a refused page stays open."""


class ReadableByPages(NegotiatedEndToEnd):
    """An upgrade that is negotiated end to end, but if it is refused, the page is told by a Close frame.

    Args:
        arrival: a valid handshake with an `Origin`.
        handover: the client's connection.
        sources: the places where a token may be.
    """

    __slots__ = ("_sources",)

    def __init__(self, arrival: Arrival, handover: Handover, sources: tuple[TokenSource, ...]) -> None:
        super().__init__(arrival, handover)
        self._sources = sources

    def close_code(self, error: RefusedError) -> int | None:
        """Return the close code that the page gets; None if it gets an HTTP response."""
        refusal = self._readable(error)
        return refusal.code if refusal is not None else None

    def refuse(self, error: RefusedError) -> None:
        """Accept the upgrade and close it, or send an HTTP response."""
        refusal = self._readable(error)
        if refusal is None:
            super().refuse(error)
            return
        answer = acceptance.own_answer(self._arrival, refusal.subprotocol)
        frame = control_frame(CLOSE, close_payload(refusal.code, refusal.reason), key=None)
        self._handover.end(answer + frame, linger=True, at_most=READ_SECONDS)

    def _readable(self, error: RefusedError) -> ReadableRefusal | None:
        return readable_refusal(error, self._arrival.request, self._sources)
