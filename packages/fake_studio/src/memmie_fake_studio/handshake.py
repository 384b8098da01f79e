"""From an HTTP upgrade request to an open WebSocket protocol (RFC 6455 §4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from memmie_fake_base.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web
    from websockets.typing import Subprotocol

    from memmie_fake_studio.settings import StudioSettings


class StudioProtocol(ServerProtocol):
    """websockets' Sans-I/O server with Studio's choice of subprotocol, and able to leave pings unanswered.

    Attributes:
        mute_pongs: leave pings unanswered (a fault).
    """

    def __init__(self, settings: StudioSettings) -> None:
        super().__init__(
            max_size=settings.max_message_bytes,
            extensions=enable_server_permessage_deflate(None) if settings.compression else None,
        )
        self._spoken = settings.subprotocols
        self.mute_pongs = False

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Return the client's first subprotocol that Studio speaks, or None: an unknown one is no reason to refuse."""
        return next((name for name in subprotocols if name in self._spoken), None)

    def send_frame(self, frame: Frame) -> None:
        """Queue a frame, unless it is a pong and pongs are muted."""
        if not (self.mute_pongs and frame.opcode is Opcode.PONG):
            super().send_frame(frame)


def wants_websocket(request: web.BaseRequest) -> bool:
    """Tell whether a request asks to become a WebSocket."""
    return request.headers.get("Upgrade", "").strip().lower() == "websocket"


def accept(request: web.Request, settings: StudioSettings) -> StudioProtocol:
    """Return a protocol that has accepted the upgrade; its response waits in `data_to_send()`.

    Raises:
        Problem: 426 for a plain request, 400 for a bad handshake.
    """
    if not wants_websocket(request):
        problem = Problem(
            426, "upgrade_required", f"{request.path} is a WebSocket route: send an upgrade request"
        )
        raise problem
    protocol = StudioProtocol(settings)
    # aiohttp has parsed the head already; the protocol wants to see one itself.
    head = [f"{request.method} {request.raw_path} HTTP/1.1".encode("utf-8", "surrogateescape")]
    head += [name + b": " + value for name, value in request.raw_headers]
    protocol.receive_data(b"\r\n".join(head) + b"\r\n\r\n")
    events = protocol.events_received()
    if not events or not isinstance(events[0], Request):
        raise Problem(400, "bad_handshake", f"the upgrade request cannot be read: {protocol.handshake_exc}")
    response = protocol.accept(events[0])
    if response.status_code != 101:
        raise Problem(response.status_code, "bad_handshake", f"bad handshake: {protocol.handshake_exc}")
    protocol.send_response(response)
    return protocol
