"""Accepting a WebSocket handshake (RFC 6455 §4.2)."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from memmie_fake_base.problems import Problem
from memmie_fake_studio.settings import StudioSettings


class StudioProtocol(ServerProtocol):
    """The Sans-I/O server of `websockets`, which selects Studio's subprotocol and can ignore pings.

    Args:
        settings: the fake Studio's settings.

    Attributes:
        ignores_pings: whether pings are not answered (a fault).
    """

    def __init__(self, settings: StudioSettings) -> None:
        super().__init__(
            max_size=settings.max_message_bytes,
            extensions=enable_server_permessage_deflate(None) if settings.compression else None,
        )
        self._spoken = settings.subprotocols
        self.ignores_pings = False

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Return the client's first subprotocol that Studio speaks, or None, with which the handshake still succeeds."""
        return next((name for name in subprotocols if name in self._spoken), None)

    def send_frame(self, frame: Frame) -> None:
        """Queue a frame, unless it is a pong and pings are ignored."""
        if not (self.ignores_pings and frame.opcode is Opcode.PONG):
            super().send_frame(frame)


def wants_websocket(request: web.BaseRequest) -> bool:
    """Tell whether a request asks for an upgrade to WebSocket."""
    return request.headers.get("Upgrade", "").strip().lower() == "websocket"


def accept(request: web.Request, settings: StudioSettings) -> StudioProtocol:
    """Accept an upgrade; the response waits in the returned protocol's `data_to_send()`.

    Raises:
        Problem: 426, the request is not an upgrade; 400, the handshake is bad.
    """
    if not wants_websocket(request):
        problem = Problem(
            426, "upgrade_required", f"{request.path} is a WebSocket route; send an upgrade request"
        )
        raise problem
    protocol = StudioProtocol(settings)
    # aiohttp has parsed the head already, but the protocol parses one itself.
    head = [f"{request.method} {request.raw_path} HTTP/1.1".encode("utf-8", "surrogateescape")]
    head += [name + b": " + value for name, value in request.raw_headers]
    protocol.receive_data(b"\r\n".join(head) + b"\r\n\r\n")
    events = protocol.events_received()
    if not events or not isinstance(events[0], Request):
        raise Problem(400, "bad_handshake", f"the upgrade request cannot be read: {protocol.handshake_exc}")
    response = protocol.accept(events[0])
    if response.status_code != 101:
        raise Problem(
            response.status_code, "bad_handshake", f"the handshake is invalid: {protocol.handshake_exc}"
        )
    protocol.send_response(response)
    return protocol
