"""A TCP connection that knows when its bytes arrived.

One greenlet of a thousand reads its socket when the others let it: a time taken in Python tells as much about the
client as about the gateway. So the kernel is asked when the bytes came in (SO_TIMESTAMPING, received by software);
if it does not tell, as under TLS, the time right after the read has to do.
All times are nanoseconds of CLOCK_REALTIME, which is the kernel's choice.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from functools import lru_cache
from typing import Any, Final

from gevent.lock import BoundedSemaphore

CONNECT_SECONDS: Final = 20.0
READ_BYTES: Final = 1 << 16

# linux/net_tstamp.h and asm-generic/socket.h; Python's socket module has no names for them.
_SO_TIMESTAMPING: Final = 37
_RX_SOFTWARE: Final = 1 << 3
_REPORT_SOFTWARE: Final = 1 << 4
_TIMESPEC: Final = struct.Struct("@qq")
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(3 * _TIMESPEC.size)


@lru_cache
def _resolved(host: str, port: int) -> tuple[int, Any]:
    """Return family and address, asked for once: gevent's resolver is a queue that a crowd would wait in."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, address


class Wire:
    """One TCP connection, over TLS or not; `buffer_bytes` is the size of the kernel's receive buffer, None its choice."""

    def __init__(self, host: str, port: int, *, tls: bool, buffer_bytes: int | None) -> None:
        self._lock = BoundedSemaphore(1)
        self._stamped = False
        family, address = _resolved(host, port)
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(CONNECT_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if buffer_bytes is not None:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            self._socket.connect(address)
            if tls:
                self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=host)
                return
            with contextlib.suppress(OSError):  # a kernel that does not know it
                flags = _RX_SOFTWARE | _REPORT_SOFTWARE
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, flags)
                self._stamped = True
        except BaseException:
            self._socket.close()
            raise

    def set_timeout(self, seconds: float | None) -> None:
        """Let a read or write that waits longer be a TimeoutError; None waits for ever."""
        self._socket.settimeout(seconds)

    def send(self, data: bytes) -> int:
        """Send all of it; return when that began."""
        with self._lock:
            at = time.time_ns()
            self._socket.sendall(data)
            return at

    def receive(self) -> tuple[bytes, int]:
        """Return the next bytes, none at the end, and when the last of them arrived."""
        if not self._stamped:
            return self._socket.recv(READ_BYTES), time.time_ns()
        data, ancillary, _, _ = self._socket.recvmsg(READ_BYTES, _ANCILLARY_BYTES)
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPING:
                seconds, nanoseconds = _TIMESPEC.unpack_from(value)
                return data, seconds * 1_000_000_000 + nanoseconds
        return data, time.time_ns()

    def end(self) -> None:
        """Send nothing more; the other side may go on."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def reset(self) -> None:
        """Close it at once, with RST for the other side."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()
