"""A connection of Socket.IO that is used like a plain WebSocket: JSON messages go in, and come out (docs/socketio.md).

The library for Socket.IO reconnects and gathers messages by itself, which would hide what must be seen. So this sends and
reads every packet itself, with the library's codec, but behaves as the library does on the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit

from socketio import packet as packets
from tests.one_request import Address, ask
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus, WebSocketException
from websockets.http11 import Response

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE = "012345"
"""Types of Engine.IO packets (https://socket.io/docs/v4/engine-io-protocol)."""

SEPARATOR: Final = "\x1e"

NO_CLOSE: Final = 1006
"""The code of a connection that ended without a word (RFC 6455 §7.1.5)."""


class Transport(enum.StrEnum):
    """How a client connects."""

    POLLING = "polling"
    UPGRADE = "upgrade"
    """Polling first, and then an upgrade to a WebSocket; the default of clients."""
    WEBSOCKET = "websocket"


async def connect(
    ws_url: str,
    token: str,
    *,
    transport: Transport,
    open_timeout: float = 10.0,
    close_timeout: float = 1.0,
    patience: float = 0.0,
    local_addr: Address | None = None,
) -> SocketIoConnection:
    """Connect to the default namespace.

    Args:
        ws_url: the gateway's WebSocket address; its path is not used.
        token: the user's token, which is sent in CONNECT.
        transport: how to connect.
        open_timeout: seconds until the gateway must have answered CONNECT.
        close_timeout: seconds for which `close` waits for the gateway.
        patience: seconds for which the client waits for a ping longer than the gateway asks it to.
        local_addr: the address and the port of the client.

    Raises:
        websockets.exceptions.InvalidStatus: the client is refused, by an HTTP status or in the answer to CONNECT.
        websockets.exceptions.ConnectionClosed: the connection ended without an answer to CONNECT.
        TimeoutError: there was no answer in time.
    """
    connection = SocketIoConnection(ws_url, transport, close_timeout, patience, local_addr)
    try:
        async with asyncio.timeout(open_timeout):
            await connection.open(token)
    except BaseException:
        connection.abort()
        raise
    return connection


class SocketIoConnection:
    """A connection, which `connect` makes.

    Attributes:
        close_code: of the event `close`, or else of the WebSocket; None while it lives.
        close_reason: as the code.
        upgraded: whether it began with polling, and goes on over a WebSocket.
    """

    def __init__(
        self,
        ws_url: str,
        transport: Transport,
        close_timeout: float,
        patience: float,
        local_addr: Address | None,
    ) -> None:
        url = urlsplit(ws_url)
        assert url.hostname is not None
        assert url.port is not None
        self._host, self._port = url.hostname, url.port
        self._transport = transport
        self._close_timeout = close_timeout
        self._patience = patience
        self._local_addr = local_addr
        self._sid = ""
        self._websocket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._reading, self._writing = asyncio.Lock(), asyncio.Lock()  # an upgrade waits for both
        self._outbox: list[tuple[str, asyncio.Future[None]]] = []
        self._written = asyncio.Event()
        self._silence: asyncio.TimerHandle | None = None  # until the next ping
        self._longest = 0.0  # seconds between two pings
        self._numbers = itertools.count()
        self._ids: dict[int, str] = {}  # the ids of messages by the number of their acknowledgement
        self._messages: asyncio.Queue[str | None] = asyncio.Queue()
        self._answered = _future()  # by CONNECT
        self._leaving = False
        self._over = asyncio.Event()
        self._told: tuple[int, str] | None = None
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self.upgraded = False

    def __repr__(self) -> str:
        return f"<SocketIoConnection {self._transport} closed={self.close_code}>"

    # The interface of a plain connection.

    async def send(self, message: str) -> None:
        """Send a message; it has left when this returns, which means an answer to its POST if the client polls.

        Raises:
            websockets.exceptions.ConnectionClosed: the connection has ended, or is being closed.
        """
        if self._leaving:  # nothing that comes behind DISCONNECT would reach Studio
            raise ConnectionClosedError(None, None)
        asked = json.loads(message)
        number = None
        if "id" in asked:
            number = next(self._numbers)
            self._ids[number] = asked["id"]
        # The gateway makes an id of its own for Studio, so this one goes into the data.
        data = asked.get("data", {"id": asked.get("id")})
        await self._write(packets.Packet(packets.EVENT, [asked["type"], data], id=number).encode())

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        message = await self._messages.get()
        if message is None:
            self._messages.put_nowait(None)
            raise StopAsyncIteration
        return message

    async def recv(self) -> str:
        """Return the next message.

        Raises:
            websockets.exceptions.ConnectionClosed: the connection has ended.
        """
        try:
            return await anext(self)
        except StopAsyncIteration:
            raise ConnectionClosedError(None, None) from None

    async def close(self) -> None:
        """Leave the namespace, and wait until the gateway has closed the connection."""
        self._leaving = True
        if not self._over.is_set():
            with contextlib.suppress(TimeoutError, ConnectionClosed):
                async with asyncio.timeout(self._close_timeout):
                    await self._write(packets.Packet(packets.DISCONNECT).encode())
                    if self._websocket is not None:
                        await self._websocket.close()  # as the library does; over polling it waits
                    await self._over.wait()
        self.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def abort(self) -> None:
        """End the connection at once."""
        for task in self._tasks:
            task.cancel()
        if self._websocket is not None:
            self._websocket.transport.abort()
        if not self._over.is_set():
            self._end()

    # Opening.

    async def open(self, token: str) -> None:
        """Open the connection; see `connect`."""
        if self._transport is Transport.WEBSOCKET:
            self._websocket = await self._dial()
            opening = str(await self._websocket.recv())
        else:
            opening = await self._request("GET")
        assert opening.startswith(OPEN), opening
        about = json.loads(opening.removeprefix(OPEN))
        if self._transport is not Transport.WEBSOCKET:
            self._sid = about["sid"]
        self._longest = (about["pingInterval"] + about["pingTimeout"]) / 1000 + self._patience
        self._expect_ping()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write_all())]
        await self._write(packets.Packet(packets.CONNECT, {"token": token}).encode())
        await self._answered
        if self._transport is Transport.UPGRADE:
            self._tasks.append(asyncio.create_task(self._upgrade()))

    def _query(self, transport: str) -> str:
        sid = f"&sid={self._sid}" if self._sid else ""
        return f"/socket.io/?EIO=4&transport={transport}{sid}"

    async def _dial(self) -> ClientConnection:
        url = f"ws://{self._host}:{self._port}{self._query('websocket')}"
        options: dict[str, Any] = {"local_addr": self._local_addr} if self._local_addr else {}
        return await connect_websocket(
            url, proxy=None, open_timeout=None, close_timeout=self._close_timeout, compression=None, **options
        )

    async def _upgrade(self) -> None:
        """Change to a WebSocket between two messages; if this fails, go on polling."""
        websocket: ClientConnection | None = None
        try:
            websocket = await self._dial()
            await websocket.send(f"{PING}probe")
            if await websocket.recv() == f"{PONG}probe":
                async with self._reading, self._writing:  # the requests under way have been answered
                    await websocket.send(UPGRADE)
                    self._websocket, self.upgraded = websocket, True
        except (OSError, WebSocketException):
            pass
        finally:
            if websocket is not None and self._websocket is not websocket:
                websocket.transport.abort()

    # Packets.

    async def _request(self, method: str, body: str = "") -> str:
        """Send a request, which has a connection of its own, and return the body of the answer."""
        content = body.encode()
        lines = [f"{method} {self._query('polling')} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        if method == "POST":
            lines += ["Content-Type: text/plain;charset=UTF-8", f"Content-Length: {len(content)}"]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode() + content
        answer = await ask(self._host, self._port, request, self._local_addr)
        if answer.status != 200:
            raise refusal(answer.status, answer.body)
        return answer.body.decode()

    async def _packets(self) -> list[str]:
        async with self._reading:
            if self._websocket is None:
                return (await self._request("GET")).split(SEPARATOR)
        return [str(await self._websocket.recv())]

    async def _read(self) -> None:
        """Read packets until the end."""
        try:
            while True:
                for packet in await self._packets():
                    if packet == CLOSE:
                        self._told = self._told or (1000, "")
                        return
                    self._hear(packet)
        except (OSError, WebSocketException) as error:
            if not self._answered.done() and isinstance(error, InvalidStatus):
                self._answered.set_exception(error)
        finally:
            self._end()

    def _hear(self, packet: str) -> None:
        kind, data = packet[0], packet[1:]
        if kind == PING:
            self._expect_ping()
            self._post_soon(PONG + data)
        elif kind == MESSAGE:
            self._hear_message(packets.Packet(encoded_packet=data))

    def _hear_message(self, packet: packets.Packet) -> None:
        if packet.packet_type == packets.CONNECT:
            self._answered.set_result(None)
        elif packet.packet_type == packets.CONNECT_ERROR:
            about = packet.data.get("data", {})
            self._answered.set_exception(refusal(about.get("status", 400), json.dumps(packet.data).encode()))
        elif packet.packet_type == packets.ACK:
            (message,) = packet.data
            self._messages.put_nowait(json.dumps({**message, "id": self._ids[packet.id]}))
        elif packet.packet_type == packets.EVENT:
            name, *arguments = packet.data
            if name == "close":
                self._told = (arguments[0]["code"], arguments[0]["reason"])
            elif name == "error":
                self._messages.put_nowait(json.dumps(arguments[0]))
            else:
                self._messages.put_nowait(json.dumps({"type": name, "data": (arguments or [None])[0]}))

    def _post_soon(self, packet: str) -> asyncio.Future[None]:
        written = _future()
        if self._over.is_set():
            written.set_exception(ConnectionClosedError(None, None))
        else:
            self._outbox.append((packet, written))
            self._written.set()
        return written

    async def _write(self, packet: str) -> None:
        await self._post_soon(MESSAGE + packet)

    async def _write_all(self) -> None:
        """Write packets until the end; those that come while a POST is under way go into the next one together."""
        taken: list[tuple[str, asyncio.Future[None]]] = []
        try:
            while True:
                await self._written.wait()
                async with self._writing:
                    self._written.clear()
                    taken, self._outbox = self._outbox, []
                    if not taken:
                        continue
                    if self._websocket is None:
                        await self._request("POST", SEPARATOR.join(packet for packet, _ in taken))
                    else:
                        for packet, _ in taken:
                            await self._websocket.send(packet)
                for _, written in taken:
                    if not written.done():
                        written.set_result(None)
        except (OSError, WebSocketException):
            pass  # the reader learns why
        finally:
            self._outbox = taken + self._outbox
            self._give_up_writing()

    def _give_up_writing(self) -> None:
        outbox, self._outbox = self._outbox, []
        for _, written in outbox:
            if not written.done():
                written.set_exception(ConnectionClosedError(None, None))

    def _expect_ping(self) -> None:
        """Give up if no ping comes for too long, as the library does."""
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.get_running_loop().call_later(self._longest, self.abort)

    def _end(self) -> None:
        """Note how it has ended."""
        if self._over.is_set():
            return
        websocket = self._websocket
        code, reason = (None, "") if websocket is None else (websocket.close_code, websocket.close_reason)
        self.close_code, self.close_reason = self._told or (code or NO_CLOSE, reason or "")
        self._over.set()
        if self._silence is not None:
            self._silence.cancel()
        for task in self._tasks[1:]:
            task.cancel()
        self._give_up_writing()
        if not self._answered.done():
            self._answered.set_exception(ConnectionClosedError(None, None))
        self._messages.put_nowait(None)


def _future() -> asyncio.Future[None]:
    """Return a future of which perhaps nobody wants the exception."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


def refusal(status: int, body: bytes) -> InvalidStatus:
    """Return the error for an HTTP status, or for that in the answer to CONNECT."""
    return InvalidStatus(Response(status, "", Headers(), body))
