"""The part of the toy gateway that speaks Socket.IO with clients, and JSON messages with backends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
from collections.abc import Coroutine

from tests.mutants.answers import RefusedError
from tests.mutants.joint import CLIENT, STUDIO, Joint, ViolationError, read_frame

from memmie_harness.conformance.peers import CONT, PONG, TEXT, Frame, build

MAX_CONNECT = 16 * 1024
CONNECT_SECONDS = 5.0
COMES_BACK = {1001, 1011, 1012, 1013}
"""Close codes after which a client should come back."""


def packet(text: str) -> bytes:
    """Build the frame for the client with a packet."""
    return build(TEXT, text.encode())


def open_socket_io(writer: asyncio.StreamWriter, interval: float) -> None:
    """Send the first packet."""
    milliseconds = round(interval * 1000) or 25_000
    opening = {
        "sid": secrets.token_urlsafe(16),
        "upgrades": [],
        "pingInterval": milliseconds,
        "pingTimeout": milliseconds,
        "maxPayload": 1 << 20,
    }
    writer.write(packet("0" + json.dumps(opening)))


async def read_connect(reader: asyncio.StreamReader) -> str:
    """Return the token in the packet CONNECT; "" if it has none.

    Raises:
        RefusedError: it does not come, or another packet does.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            frame = await read_frame(reader, from_client=True, room=MAX_CONNECT)
    except (ViolationError, TimeoutError):
        raise RefusedError(400, code=1008) from None
    text = frame.payload.decode("utf-8", "replace")
    if frame.opcode != TEXT or not text.startswith("40"):
        raise RefusedError(400, code=1008)
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text[2:])["token"])
    return ""


def refuse_connect(writer: asyncio.StreamWriter, refusal: RefusedError) -> None:
    """Send CONNECT_ERROR."""
    error = {"code": f"refused_{refusal.status}", "message": "refused"}
    writer.write(packet("44" + json.dumps(error)))


class SocketJoint(Joint):
    """Translates between packets of a client and messages of a backend."""

    WELCOME = packet('40{"sid":"the socket"}')
    """The packet that tells a client that it is connected."""

    interval = 0.0
    """Seconds between two pings of Engine.IO."""

    prefix = ""

    def watches(self) -> list[Coroutine[object, object, None]]:
        """Return what runs beside the two directions."""
        self.prefix = secrets.token_hex(4)
        self.text = [b"", b""]
        self.ponged = asyncio.Event()
        return [*super().watches(), *([self.heartbeat()] if self.interval else [])]

    async def heartbeat(self) -> None:
        """Ping the client again and again, and cut its connection if it does not answer."""
        while not self.closed[CLIENT]:
            await asyncio.sleep(self.interval)
            self.ponged.clear()
            self.writers[CLIENT].write(packet("2"))
            try:
                async with asyncio.timeout(self.interval):
                    await self.ponged.wait()
            except TimeoutError:
                self.dead(CLIENT)
                return

    async def forward(self, side: int, frame: Frame) -> None:
        """Translate a text message; binary ones are dropped, and pongs are the gateway's own."""
        if frame.opcode == PONG:
            await super().forward(side, frame)
        if frame.opcode not in {TEXT, CONT}:
            return
        self.text[side] += frame.payload
        if frame.fin:
            text, self.text[side] = self.text[side].decode("utf-8", "replace"), b""
            self.hear(text) if side == CLIENT else self.tell(text)
            await self.writers[1 - side].drain()

    def hear(self, text: str) -> None:
        """Process a packet of the client."""
        event = re.fullmatch(r"42(\d*)(\[.*\])", text, re.DOTALL)
        if text == "3":
            self.ponged.set()
        elif text == "41":
            self.end(1000)
        elif text.startswith("40/"):
            self.writers[CLIENT].write(packet(f'44{text[2:].partition(",")[0]},{{"message":"no"}}'))
        elif text.startswith("45"):
            self.writers[CLIENT].write(packet('42["error",{"error":"no binary events"}]'))
        elif event is None:
            raise ViolationError(1002)
        else:
            try:
                name, *data = json.loads(event[2])
            except ValueError:
                raise ViolationError(1002) from None
            self.send_event(event[1], name, data)

    def send_event(self, number: str, name: str, data: list[object]) -> None:
        """Send the backend an event."""
        message: dict[str, object] = {"id": self.message_id(number)} if number else {}
        message |= {"type": name, **({"data": data[0]} if data else {})}
        self.write(STUDIO, Frame(TEXT, json.dumps(message).encode()))
        self.count()

    def message_id(self, number: str) -> str:
        """Return the id of a message that wants an acknowledgement."""
        return f"{self.prefix}-{number}"

    def tell(self, text: str) -> None:
        """Send the client a message of the backend."""
        message = json.loads(text)
        prefix, _, number = str(message.get("id", "")).partition("-")
        if number and prefix == self.prefix:
            self.writers[CLIENT].write(packet(f"43{number}[{text}]"))
        else:
            data = [message["data"]] if "data" in message else []
            self.writers[CLIENT].write(packet("42" + json.dumps([message["type"], *data])))
        self.count()

    def close(self, to: int, payload: bytes) -> None:
        """Send a side a Close frame; the client is told first whether it should come back."""
        code = int.from_bytes(payload[:2], "big") if payload else 1005
        if to == CLIENT and not self.closed[CLIENT] and self.stays_away(code):
            self.writers[CLIENT].write(packet("41"))
        super().close(to, payload)

    def stays_away(self, code: int) -> bool:
        """Tell whether a client should not come back."""
        return code not in COMES_BACK
