"""The echo backend, a process of its own: `python -m loadtests.traffic.echo`.

It echoes every message on any path, and answers pings, so that it passes for a healthy Studio (spec §3). picows does
the work in compiled code, so that the backend is not what is measured. It prints its port as one line of JSON, and
ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import signal

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

BACKLOG = 4096
"""Connections that may wait to be accepted."""

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""The largest message that is echoed."""


class Echo(WSListener):
    """Sends back what it gets."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Echo a message, or answer a Close frame and hang up (RFC 6455 §5.5.1)."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type != WSMsgType.PONG:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview(), frame.fin)


def _echo(_: WSUpgradeRequest) -> Echo:
    return Echo()


async def _serve() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await ws_create_server(
        _echo, "127.0.0.1", 0, backlog=BACKLOG, max_frame_size=MAX_FRAME_BYTES, read_buffer_init_size=4096
    )
    print(json.dumps({"event": "listening", "port": server.sockets[0].getsockname()[1]}), flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())
