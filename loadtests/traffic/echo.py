"""The echo backend, a process of its own: `python -m loadtests.traffic.echo`.

It echoes every message on any path and answers pings, so it passes for a healthy Studio (spec §3). picows does the work
in compiled code, so the backend is not what is measured. It prints its port as one line of JSON and ends on SIGTERM.
"""

from __future__ import annotations

from typing import Final

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from loadtests.common.listening import listen_until_signalled

BACKLOG: Final = 4096  # connections that may wait to be accepted
MAX_FRAME_BYTES: Final = 16 * 1024 * 1024


class Echo(WSListener):
    """Sends back what it receives."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Echo a message, or answer a Close frame and hang up (RFC 6455 §5.5.1)."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type != WSMsgType.PONG:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview(), frame.fin)


async def _serve() -> None:
    server = await ws_create_server(
        lambda _: Echo(),
        "127.0.0.1",
        0,
        backlog=BACKLOG,
        max_frame_size=MAX_FRAME_BYTES,
        read_buffer_init_size=4096,
    )
    await listen_until_signalled(server.sockets[0].getsockname()[1])
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())
