"""A backend's 101: what the gateway needs of it, and the answer to the client that is made from it.

The 101s of one backend are equal but for `Sec-WebSocket-Accept`, and for the date once in a second. So a 101 that is as
expected is recognised by a comparison of bytes, which costs a tenth of parsing, checking and rewriting it.
"""

from __future__ import annotations

from typing import Final

from memmie_gateway.core.http import forwarding
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.headers import LineStarts
from memmie_gateway.core.http.response import Response
from memmie_gateway.core.record import record
from memmie_gateway.core.websocket.handshake import Offer, accept_for, extension_names, reserved_bits

_ACCEPT: Final = b"sec-websocket-accept"

_STARTS: Final = LineStarts(
    (b"date", b"server", _ACCEPT, b"sec-websocket-extensions"),
    dropped=(
        *(b"connection", b"upgrade", b"keep-alive", b"content-length", b"transfer-encoding"),
        *(b"sec-websocket-protocol", b"x-request-id"),
    ),
)


@record
class Acceptance:
    """A 101 that is valid (see `handshake.check_response`), without its `Sec-WebSocket-Accept`.

    Attributes:
        subprotocol: the selected subprotocol, "" for none.
        extensions: the names of the accepted extensions.
        reserved_bits: the RSV bits that these may use.
        before: the header lines for the client before that field, each with its end.
        behind: those behind it.
    """

    subprotocol: str
    extensions: frozenset[str]
    reserved_bits: int
    before: bytes
    behind: bytes

    @classmethod
    def of(cls, response: Response) -> Acceptance:
        """Read a 101 with exactly one `Sec-WebSocket-Accept`."""
        headers = response.headers
        nominated = forwarding.nominated(headers)
        lines = [
            (name, start + value + b"\r\n")
            for name, value in headers.fields
            if (start := _STARTS[name]) and name not in nominated
        ]
        at = [name for name, _ in lines].index(_ACCEPT)
        return cls(
            headers.one(b"sec-websocket-protocol"),
            extension_names(headers),
            reserved_bits(response),
            b"".join([line for _, line in lines[:at]]),
            b"".join([line for _, line in lines[at + 1 :]]),
        )


class KnownAnswer:
    """A 101 by which the next one of the same backend is recognised.

    Args:
        head: the bytes of the whole head, and nothing else.
        accept: its `Sec-WebSocket-Accept`.
        accepted: what else was read from it, which is the same for every head that is expected.

    Attributes:
        accepted: as given.
    """

    __slots__ = ("_before", "_behind", "_usable", "accepted")

    def __init__(self, head: bytes, accept: bytes, accepted: Acceptance) -> None:
        self.accepted = accepted
        self._before, _, self._behind = head.partition(accept)
        # If the same bytes are there twice, it is not obvious which of them are the field.
        self._usable = accept in head and accept not in self._behind

    def __repr__(self) -> str:
        """Leave out the head, because it may contain secrets."""
        return f"<KnownAnswer usable={self._usable}>"

    def expected(self, offer: Offer) -> bytes:
        """Return the head of the same answer to this offer; b"" if it would not be valid, or is not known."""
        accepted = self.accepted
        selected = accepted.subprotocol
        if (
            not self._usable
            or (selected and selected not in offer.subprotocols)
            or not accepted.extensions <= offer.extensions
        ):
            return b""
        return self._before + offer.accept + self._behind


def own_answer(arrival: Arrival, subprotocol: str) -> bytes:
    """Build the gateway's own 101 for a client, without a backend.

    Args:
        arrival: a valid handshake.
        subprotocol: the subprotocol to select, "" for none.
    """
    key = arrival.request.headers.all(b"sec-websocket-key")[0]
    accepted = Acceptance(subprotocol, frozenset(), 0, b"", b"")
    return client_answer(accepted, accept_for(key), Credentials(None), arrival.id)


def client_answer(accepted: Acceptance, accept: bytes, credentials: Credentials, request_id: str) -> bytes:
    """Build the 101 for the client from the 101 of the backend and its `Sec-WebSocket-Accept`."""
    selected = accepted.subprotocol or credentials.bearer
    protocol = f"Sec-WebSocket-Protocol: {selected}\r\n" if selected else ""
    own = f"Upgrade: websocket\r\nConnection: Upgrade\r\n{protocol}X-Request-ID: {request_id}\r\n".encode(
        "latin-1"
    )
    return (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        + own
        + accepted.before
        + b"Sec-WebSocket-Accept: "
        + accept
        + b"\r\n"
        + accepted.behind
        + b"\r\n"
    )
