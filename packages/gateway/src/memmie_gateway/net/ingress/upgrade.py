"""A client's upgrade, and the two ways to answer it.

Usually it is *negotiated end to end*: the backend's 101 answers the client, and a refusal is an HTTP response. Where the
token comes in the first message it is *terminated here*: the gateway has answered before it knows the client, and a
refusal is a Close frame.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Protocol

from memmie_gateway.core.arrival import Arrival
from memmie_gateway.core.credentials import Credentials
from memmie_gateway.core.headers import Headers
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.refusals import RefusedError, refusal_answer
from memmie_gateway.core.response import Response
from memmie_gateway.core.websocket import handshake
from memmie_gateway.core.websocket.control_frames import CLOSE, close_payload, control_frame
from memmie_gateway.core.websocket.handshake import Offer
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.url import ServiceUrl
from memmie_gateway.net.ingress.first_message import FirstMessageError, FirstMessageReader


class Upgrade(Protocol):
    """A client's upgrade that is to be answered, or was."""

    def request_for(self, url: ServiceUrl, credentials: Credentials, user_id: str) -> tuple[bytes, Offer]:
        """Build the handshake for a backend; return it with what it offers."""

    def accept(self, response: Response, credentials: Credentials) -> None:
        """A backend has accepted: answer the client, if that is still to be done."""

    def close_code(self, error: RefusedError) -> int | None:
        """Return the close code with which `refuse` would answer; None where it sends no Close frame."""

    def refuse(self, error: RefusedError) -> None:
        """Tell the client why it is refused, and end its connection."""


class NegotiatedEndToEnd:
    """The backend answers the client's handshake: key, subprotocol and extensions are between these two.

    Args:
        arrival: a valid handshake, unless it is refused at once.
        handover: the client's connection.
    """

    __slots__ = ("_arrival", "_handover")

    def __init__(self, arrival: Arrival, handover: Handover) -> None:
        self._arrival = arrival
        self._handover = handover

    def request_for(self, url: ServiceUrl, credentials: Credentials, user_id: str) -> tuple[bytes, Offer]:
        """Build the handshake for a backend with the client's own key and extensions."""
        headers = self._arrival.request.headers
        head = handshake.upstream_head(
            self._arrival, credentials, user_id, host=url.host_header, path=url.path, query=url.query
        )
        key = headers.all(b"sec-websocket-key")[0]
        return head, Offer(key, credentials.subprotocols, handshake.extension_names(headers))

    def accept(self, response: Response, credentials: Credentials) -> None:
        """Relay the backend's 101."""
        answer = handshake.client_answer(response, credentials, self._arrival.id)
        self._handover.transport.write(answer)

    def close_code(self, _: RefusedError) -> None:
        """Return None: there is no WebSocket yet."""

    def refuse(self, error: RefusedError) -> None:
        """Send an HTTP response."""
        self._handover.end(refusal_answer(error))


class TerminatedHere:
    """The gateway has answered the client's handshake, as the token comes in the first message.

    The gateway's own handshake with the backend has a key of its own and offers no extensions: the client's are
    settled before a backend was asked.

    Args:
        arrival: a valid handshake.
        handover: the client's connection.
        key: 16 random bytes for the handshake with the backend.
    """

    __slots__ = ("_arrival", "_handover", "_key", "_reader")

    def __init__(self, arrival: Arrival, handover: Handover, key: bytes) -> None:
        self._arrival = arrival
        self._handover = handover
        self._key = base64.b64encode(key)
        self._reader: FirstMessageReader | None = None

    async def token(self, credentials: Credentials, seconds: float) -> Credentials:
        """Answer the handshake and wait for the token.

        Args:
            credentials: those of the head, which have no token; the first subprotocol is selected.
            seconds: how long the token may take.

        Returns:
            The same with the token.

        Raises:
            RefusedError: something else came, or nothing in time.
        """
        subprotocols = credentials.subprotocols[:1]
        key = self._arrival.request.headers.all(b"sec-websocket-key")[0]
        fields = [(b"sec-websocket-accept", handshake.accept_for(key))]
        fields += [(b"sec-websocket-protocol", name.encode("latin-1")) for name in subprotocols]
        answer = Response(101, Headers(tuple(fields)))
        self._handover.transport.write(handshake.client_answer(answer, credentials, self._arrival.id))
        self._reader = FirstMessageReader(self._handover)
        try:
            async with asyncio.timeout(seconds):
                token = await self._reader.token()
        except TimeoutError:
            raise RefusedError(Cause.AUTH_LATE) from None
        except FirstMessageError as error:
            raise RefusedError(Cause.AUTH_LATE, str(error)) from None
        return credentials._replace(token=token, subprotocols=subprotocols)

    def request_for(self, url: ServiceUrl, credentials: Credentials, user_id: str) -> tuple[bytes, Offer]:
        """Build the handshake for a backend with the gateway's own key."""
        head = handshake.upstream_head(
            self._arrival,
            credentials,
            user_id,
            host=url.host_header,
            path=url.path,
            query=url.query,
            key=self._key,
        )
        return head, Offer(self._key, credentials.subprotocols)

    def accept(self, response: Response, credentials: Credentials) -> None:
        """Do nothing: the client has its 101."""

    def close_code(self, error: RefusedError) -> int | None:
        """Return the close code, unless the client has a Close frame already."""
        return None if self._reader is not None and self._reader.closing else error.close_code

    def refuse(self, error: RefusedError) -> None:
        """Send a Close frame, unless the client has one already."""
        code = self.close_code(error)
        frame = b"" if code is None else control_frame(CLOSE, close_payload(code, error.reason), key=None)
        self._handover.end(frame, linger=True)
