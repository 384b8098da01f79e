"""What the kernel knows about a connection: unacknowledged bytes, the time of the last byte, and whether it has ended."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Final

try:
    from fcntl import ioctl
    from struct import unpack
    from termios import TIOCOUTQ
except ImportError:  # not on this system; keepalive and closing then see only the buffers of this process

    def unacknowledged(transport: asyncio.Transport) -> int:
        """Return 0, because this system cannot tell."""
        del transport
        return 0

else:

    def unacknowledged(transport: asyncio.Transport) -> int:
        """Return the number of bytes in the kernel that the peer has not acknowledged; 0 if this is unknown."""
        sock = transport.get_extra_info("socket")
        if sock is None:
            return 0
        try:
            answer = ioctl(sock.fileno(), TIOCOUTQ, b"\0\0\0\0")
        except OSError:  # macOS has no such request for sockets
            return 0
        except ValueError:  # the socket is closed already
            return 0
        return int(unpack("i", answer)[0])


_LAST_DATA_RECEIVED: Final = slice(52, 56)
"""Position of `tcpi_last_data_recv` in `struct tcp_info`: the milliseconds since the last data came (Linux)."""

_ENDED_STATES: Final = frozenset({7, 8})
"""Values of `tcpi_state`, the first byte of `struct tcp_info`: TCP_CLOSE (reset) and TCP_CLOSE_WAIT (finished by the peer)."""


def quiet_seconds(transport: asyncio.Transport) -> float:
    """Return the seconds since the last byte came from the peer; infinity if this is unknown."""
    info = _tcp_info(transport)
    if len(info) < _LAST_DATA_RECEIVED.stop:
        return float("inf")
    return int.from_bytes(info[_LAST_DATA_RECEIVED], sys.byteorder) / 1000


def ended_by_peer(transport: asyncio.Transport) -> bool:
    """Tell whether the peer has finished or reset the connection, also while nobody reads; False if this is unknown."""
    info = _tcp_info(transport)
    return bool(info) and info[0] in _ENDED_STATES


def _tcp_info(transport: asyncio.Transport) -> bytes:
    option = getattr(socket, "TCP_INFO", None)
    sock = transport.get_extra_info("socket")
    if option is None or sock is None:
        return b""
    try:
        return bytes(sock.getsockopt(socket.IPPROTO_TCP, option, _LAST_DATA_RECEIVED.stop))
    except (OSError, ValueError):  # not a TCP socket, or closed already (uvloop: ValueError)
        return b""
