"""The two ways to answer a client's upgrade.

Usually it is *negotiated end to end*: the client gets the backend's 101, and a refusal is an HTTP response. With
first-message auth the upgrade is *terminated here*: the gateway answers it before it has the token, and a refusal is a
Close frame.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Protocol

from memmie_gateway.core.http import forwarding
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.websocket import acceptance, handshake
from memmie_gateway.core.websocket.acceptance import Acceptance
from memmie_gateway.core.websocket.control_frames import CLOSE, close_payload, control_frame
from memmie_gateway.core.websocket.handshake import Offer
from memmie_gateway.net import clock
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.url import ServiceUrl
from memmie_gateway.net.ingress import answers
from memmie_gateway.net.ingress.first_message import FirstMessageError, FirstMessageReader


class Upgrade(Protocol):
    """A client's upgrade, answered or not."""

    def request_for(self, url: ServiceUrl, credentials: Credentials, user_id: str) -> tuple[bytes, Offer]:
        """Build the handshake for a backend; return it with its offer."""

    def accept(self, accepted: Acceptance, credentials: Credentials) -> bool:
        """Answer the client after a backend has accepted, unless it already has an answer.

        Returns:
            Whether the client's answer has a subprotocol that the backend did not select.
        """

    def close_code(self, error: RefusedError) -> int | None:
        """Return the close code that `refuse` would send; None if it would send no Close frame."""

    def refuse(self, error: RefusedError) -> None:
        """Send the refusal to the client, and end its connection."""


class NegotiatedEndToEnd:
    """An upgrade in which the client and the backend negotiate key, subprotocol and extensions with each other.

    Args:
        arrival: the client's handshake; valid, unless `refuse` is called next.
        handover: the client's connection.
    """

    __slots__ = ("_arrival", "_handover", "_offer")

    def __init__(self, arrival: Arrival, handover: Handover) -> None:
        self._arrival = arrival
        self._handover = handover
        self._offer: Offer

    def request_for(self, url: ServiceUrl, credentials: Credentials, user_id: str) -> tuple[bytes, Offer]:
        """Build the handshake for a backend with the client's own key and extensions."""
        headers = self._arrival.request.headers
        head = handshake.upstream_head(
            self._arrival, credentials, user_id, host=url.host_header, path=url.path, query=url.query
        )
        key = headers.all(b"sec-websocket-key")[0]
        self._offer = Offer(key, credentials.subprotocols, handshake.extension_names(headers))
        return head, self._offer

    def accept(self, accepted: Acceptance, credentials: Credentials) -> bool:
        """Pass the backend's 101 on to the client, with the backend's subprotocol."""
        answer = acceptance.client_answer(accepted, self._offer.accept, credentials, self._arrival.id)
        self._handover.transport.write(answer)
        return False

    def close_code(self, _: RefusedError) -> int | None:
        """Return None, because there is no WebSocket yet."""

    def refuse(self, error: RefusedError) -> None:
        """Send an HTTP response: the backend's, or the gateway's."""
        if error.response is not None:
            self._handover.end(forwarding.passed_answer(error.response, self._arrival.id))
        else:
            answers.refuse(self._arrival, self._handover, error)


class TerminatedHere:
    """An upgrade that the gateway answers itself, because the token comes in the first message.

    The handshake with the backend has the gateway's own key. It offers no extensions, because the client has already got
    its answer without any.

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
            credentials: the credentials of the head, which have no token. The first subprotocol is selected, and only
                this one is offered to the backend.
            seconds: maximum time until the token arrives.

        Returns:
            These credentials with the token.

        Raises:
            RefusedError: the first message is not an auth message, or did not arrive in time.
        """
        subprotocols = credentials.subprotocols[:1]
        self._handover.transport.write(acceptance.own_answer(self._arrival, credentials.selected))
        self._reader = FirstMessageReader(self._handover)
        try:
            with clock.timeout(seconds):
                token = await self._reader.token()
        except TimeoutError:
            raise RefusedError(Cause.AUTH_LATE) from None
        except FirstMessageError as error:
            raise RefusedError(Cause.AUTH_LATE, str(error)) from None
        # A short token may be the subprotocol, too. It is selected already, but the backend must not get it.
        offered = () if token in subprotocols else subprotocols
        return replace(credentials, token=token, subprotocols=offered)

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

    def accept(self, accepted: Acceptance, credentials: Credentials) -> bool:
        """Do nothing, because the client already has a 101; the connection goes on even without the subprotocol."""
        return bool(credentials.subprotocols) and not accepted.subprotocol

    def close_code(self, error: RefusedError) -> int | None:
        """Return the close code, or None if the client has no 101 yet, or already has a Close frame."""
        return None if self._reader is None or self._reader.closing else error.close_code

    def refuse(self, error: RefusedError) -> None:
        """Send a Close frame, unless the client already has one; without a 101 send an HTTP response."""
        if self._reader is None:
            answers.refuse(self._arrival, self._handover, error)
            return
        code = self.close_code(error)
        frame = b"" if code is None else control_frame(CLOSE, close_payload(code, error.reason), key=None)
        self._handover.end(frame, linger=True)
