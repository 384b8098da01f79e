"""The opening of a client that speaks Socket.IO: its handshake ends here, and its token comes in a packet (spec §1)."""

from __future__ import annotations

import base64
import secrets
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import FIRST_MESSAGE_SOURCES, Credentials, find_credentials
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio import translation
from memmie_gateway.core.socketio.handshake import forwardable, open_packet
from memmie_gateway.core.socketio.translation import Translation
from memmie_gateway.core.websocket import acceptance, handshake
from memmie_gateway.core.websocket.acceptance import Acceptance
from memmie_gateway.core.websocket.handshake import Offer
from memmie_gateway.core.websocket.keepalive import Times
from memmie_gateway.net import clock
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.url import ServiceUrl
from memmie_gateway.net.ingress.first_message import MAX_FIRST_MESSAGE
from memmie_gateway.net.socketio.answers import refuse_request
from memmie_gateway.net.socketio.carrier import Carrier
from memmie_gateway.net.socketio.client import LeftError, TranslatedClient
from memmie_gateway.net.socketio.large_texts import LargeTexts
from memmie_gateway.net.socketio.polling import Answer, PollingCarrier
from memmie_gateway.net.socketio.websocket_carrier import WebSocketCarrier
from memmie_gateway.net.websocket import Opening, WebSocketRoute

_VERSION: Final = ((b"sec-websocket-version", b"13"),)


@dataclass(frozen=True, slots=True)
class SocketIoOptions:
    """How clients that speak Socket.IO are served.

    Attributes:
        polling: whether they may use HTTP long-polling.
        body_seconds: maximum time in seconds until the body of a POST is complete.
        connect_seconds: maximum time in seconds until CONNECT arrives.
        times: of the heartbeat.
        max_message_bytes: maximum size of a message.
        large_texts: reads the large texts of all clients.
    """

    polling: bool
    body_seconds: float
    connect_seconds: float
    times: Times
    max_message_bytes: int
    large_texts: LargeTexts

    @property
    def max_body_bytes(self) -> int:
        """Maximum size of what is read at once: a WebSocket message, or the body of a POST. There is room for a CONNECT."""
        return max(self.max_message_bytes, MAX_FIRST_MESSAGE)


class SocketIoOpening(Opening):
    """The opening of a client that speaks Socket.IO, which is also its `Upgrade`.

    Args:
        route: the route of plain WebSockets, which dials and starts sessions.
        arrival: the request that opens the connection.
        options: how the client is served.

    Attributes:
        client: the client; None until its handshake is answered.
    """

    protocol = "socketio"

    def __init__(self, route: WebSocketRoute, arrival: Arrival, options: SocketIoOptions) -> None:
        super().__init__(route, arrival)
        self._key = base64.b64encode(route.rng.randbytes(16))
        self._credentials = find_credentials(arrival.request, FIRST_MESSAGE_SOURCES)
        self._connected = False  # CONNECT has come, so a refusal can be answered to it
        self._options = options
        self.client: TranslatedClient | None = None

    # Admission.

    @property
    def without_token(self) -> Arrival:
        """The arrival without its token, so that admission asks for the late one in any case."""
        request = self.arrival.request
        return replace(self.arrival, request=replace(request, query="", headers=Headers(())))

    async def late_token(self, _: Credentials) -> Credentials:
        """Answer the handshake, and wait for CONNECT; a token in the request comes before one in CONNECT.

        Raises:
            RefusedError: CONNECT does not come in time, or the client breaks the protocol or leaves.
        """
        self.client = client = self._open()
        try:
            with clock.timeout(self._options.connect_seconds):
                token = await client.connect
        except TimeoutError:
            raise RefusedError(Cause.AUTH_LATE, "CONNECT must come in time") from None
        except LeftError as error:
            words = str(error)
            raise RefusedError(Cause.AUTH_LATE if words else Cause.CLIENT_LEFT, words) from None
        self._connected = True
        return replace(forwardable(self._credentials), token=self._credentials.token or token or None)

    @abstractmethod
    def _open(self) -> TranslatedClient:
        """Answer the handshake."""

    def _translated(self, carrier: Carrier) -> TranslatedClient:
        prefix = f"{self._route.rng.randbytes(4).hex()}."
        options = self._options
        return TranslatedClient(
            carrier, Translation(prefix), options.times, self._route.rng, options.large_texts
        )

    def _open_packet(self, sid: str, *, upgrades: bool) -> str:
        options = self._options
        return open_packet(sid, options.times, options.max_message_bytes, upgrades=upgrades)

    # The upgrade (see `net.ingress.upgrade.Upgrade`).

    @property
    def upgrade(self) -> SocketIoOpening:
        """The way in which its handshake is answered."""
        return self

    @property
    def handover(self) -> TranslatedClient:
        """The client's connection, as its session sees it."""
        assert self.client is not None  # noqa: S101 - a session begins after admission
        return self.client

    def request_for(self, url: ServiceUrl, credentials: Credentials, user_id: str) -> tuple[bytes, Offer]:
        """Build the handshake for a backend with the gateway's own key."""
        fields = [(name, value) for name, value in credentials.fields if name != b"sec-websocket-version"]
        head = handshake.upstream_head(
            self.arrival,
            replace(credentials, fields=(*fields, *_VERSION)),
            user_id,
            host=url.host_header,
            path=url.path,
            query=url.query,
            key=self._key,
        )
        return head, Offer(self._key)

    def accept(self, _: Acceptance, __: Credentials) -> bool:
        """Tell the client that it is connected."""
        client = self.handover
        client.carrier.send([client.translation.accepted(self.arrival.id)])
        return False

    def close_code(self, error: RefusedError) -> int | None:
        """Return the close code that `refuse` would send; None if it would send no Close frame."""
        return error.close_code if self.client is not None else None

    def refuse(self, error: RefusedError) -> None:
        """Tell the client why it is refused, and end its connection."""
        if self.client is None:
            self._refuse_request(error)
        elif not self.client.is_closing():
            if self._connected:
                self.client.carrier.send([translation.refused(error)])
            self._finish(self.client, error.close_code, error.reason)

    def drop(self) -> None:
        """End the connection of a client that has left."""
        if self.client is not None and not self.client.is_closing():
            self._finish(self.client, 1000, "")

    def _finish(self, client: TranslatedClient, code: int, reason: str) -> None:
        client.carrier.finish(code, reason)
        client.carrier.linger()
        client.lost(None)

    @property
    @abstractmethod
    def gone(self) -> bool:
        """Whether the client's connection has ended."""

    @abstractmethod
    def _refuse_request(self, error: RefusedError) -> None:
        """Answer the request, if it has no answer yet."""


class WebSocketOpening(SocketIoOpening):
    """The opening of a client that begins with a WebSocket.

    Args:
        route: the route of plain WebSockets, which dials and starts sessions.
        arrival: a valid handshake.
        options: how the client is served.
        handover: the client's connection.
    """

    def __init__(
        self, route: WebSocketRoute, arrival: Arrival, options: SocketIoOptions, handover: Handover
    ) -> None:
        super().__init__(route, arrival, options)
        self._handover = handover

    def _open(self) -> TranslatedClient:
        self._handover.transport.write(acceptance.own_answer(self.arrival, self._credentials.selected))
        carrier = WebSocketCarrier(self._handover, self._options.max_body_bytes)
        client = carrier.owner = self._translated(carrier)
        carrier.send([self._open_packet(new_sid(), upgrades=False)])
        carrier.begin()
        return client

    @property
    def gone(self) -> bool:
        """Whether the client's connection has ended."""
        return self._handover.transport.is_closing()

    def _refuse_request(self, error: RefusedError) -> None:
        refuse_request(self.arrival, self._handover, error)


class PollingOpening(SocketIoOpening):
    """The opening of a client that begins with HTTP long-polling.

    Args:
        route: the route of plain WebSockets, which dials and starts sessions.
        arrival: a GET.
        options: how the client is served.
        handover: the connection of the GET.
        make_carrier: makes the carrier of the client.
        answer: answers requests.
    """

    def __init__(
        self,
        route: WebSocketRoute,
        arrival: Arrival,
        options: SocketIoOptions,
        handover: Handover,
        *,
        make_carrier: Callable[[Arrival], PollingCarrier],
        refuse: Callable[[Arrival, Handover, RefusedError], None],
        answer: Answer,
    ) -> None:
        super().__init__(route, arrival, options)
        self._handover = handover
        self._make_carrier = make_carrier
        self._refuse = refuse
        self._answer = answer

    def _open(self) -> TranslatedClient:
        carrier = self._make_carrier(self.arrival)
        client = carrier.owner = self._translated(carrier)
        packet = self._open_packet(carrier.sid, upgrades=True)
        self._answer(self.arrival, self._handover, packet.encode())
        return client

    @property
    def gone(self) -> bool:
        """Whether the client's connection has ended."""
        return self.client is not None and self.client.is_closing()

    def _refuse_request(self, error: RefusedError) -> None:
        self._refuse(self.arrival, self._handover, error)


def new_sid() -> str:
    """Return the id of a connection: 128 bits, because who knows it has the connection."""
    return secrets.token_urlsafe(16)
