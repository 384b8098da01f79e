"""The upgrade of a client from long-polling to a WebSocket (Engine.IO protocol, "Upgrade").

The client probes the WebSocket. Then it stops polling, and says `UPGRADE`, from which on all packets pass over the
WebSocket. What waits for it then follows there, so no packet is lost, and none changes its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.packets import PING, PONG, UPGRADE
from memmie_gateway.net import clock
from memmie_gateway.net.socketio.carrier import Packet
from memmie_gateway.net.socketio.client import TranslatedClient
from memmie_gateway.net.socketio.polling import PollingCarrier
from memmie_gateway.net.socketio.websocket_carrier import WebSocketCarrier

UPGRADE_SECONDS: Final = 10.0
"""Maximum time in seconds from the WebSocket's handshake to `UPGRADE`."""

_PROBE: Final = "probe"


class Upgrading:
    """Owns the WebSocket of an upgrade, until the client takes it over (see `CarrierOwner`).

    Args:
        websocket: the new carrier, whose handshake was answered.
        polling: the old carrier.
        client: the client.
    """

    def __init__(
        self, websocket: WebSocketCarrier, polling: PollingCarrier, client: TranslatedClient
    ) -> None:
        self._client = client
        self._polling = polling
        self._probed = False
        self._timer = self._expire_later()
        self._websocket = websocket

    def __repr__(self) -> str:
        return f"<Upgrading probed={self._probed}>"

    def heard(self, packets: Sequence[Packet | None]) -> None:
        """Answer the probe, and hand the WebSocket over at `UPGRADE`."""
        for at, packet in enumerate(packets):
            if not self._probed and packet == f"{PING}{_PROBE}":
                self._probed = True
                self._websocket.send([f"{PONG}{_PROBE}"])
                self._polling.release_polls(True)  # noqa: FBT003 - the name says it
            elif self._probed and packet == str(UPGRADE) and self._polling.settled:
                self._take_over(packets[at + 1 :])
                return
            elif packet is not None:
                self._fail()
                return

    def _take_over(self, behind: Sequence[Packet | None]) -> None:
        self._timer.cancel()
        self._websocket.owner = self._client
        self._polling.probe = None
        waiting, told = self._polling.give_up()
        self._client.go_on(self._websocket)
        if waiting:
            self._websocket.send(waiting)
        if told is not None:
            self._websocket.finish(*told)
        if self._client.ended:
            self._websocket.linger()  # it is refused, and learns it here
            self._websocket.leave()
        elif behind:
            self._websocket.give_back(behind)

    def _expire_later(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(UPGRADE_SECONDS, self._expire, clock.pauses())

    def _expire(self, pauses: int) -> None:
        if clock.pauses() != pauses:
            self._timer = self._expire_later()
        else:
            self._websocket.abort()

    def _fail(self) -> None:
        """End the WebSocket; the client goes on polling."""
        self._websocket.finish(1002, "this is not an upgrade")
        self._websocket.linger()
        self.lost(None)

    def still_sending(self) -> None:
        """Nothing waits for an answer."""

    def closed(self, code: int, _: str) -> None:
        """The client gives the upgrade up."""
        self._websocket.finish(code, "")
        self._websocket.linger()
        self.lost(None)

    def broke(self, _: Cause, __: str) -> None:
        """The client has violated the protocol of WebSockets."""
        self._fail()

    def lost(self, _: Exception | None) -> None:
        """The WebSocket has ended."""
        self._timer.cancel()
        self._polling.probe = None
        self._polling.release_polls(False)  # noqa: FBT003 - the name says it
        self._websocket.leave()

    def full(self) -> None:
        """Nothing is sent but the answer to the probe."""

    def drained(self) -> None:
        """Nothing is sent but the answer to the probe."""
