"""A transport that limits how fast it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

_TICK_SECONDS: Final = 0.02
"""Time between two writes; slower than one byte in this time, it is the time for one byte."""

_HIGH_WATER_BYTES: Final = 64 * 1024
"""With more waiting, the protocol's writing is paused."""

_LOW_WATER_BYTES: Final = 16 * 1024
"""With less waiting, the protocol's writing is resumed."""


class ThrottledTransport(asyncio.Transport):
    """Wraps a real transport and passes writes on to it a few bytes at a time.

    Reading is not limited. Back-pressure works as usual: the protocol's writing is paused while many bytes wait.

    Args:
        real: the transport that is written to.
        bytes_per_second: the limit.
    """

    def __init__(self, real: asyncio.Transport, bytes_per_second: float) -> None:
        super().__init__()
        self._real = real
        self._loop = asyncio.get_running_loop()
        self._chunk = max(1, int(bytes_per_second * _TICK_SECONDS))
        self._interval = self._chunk / bytes_per_second
        self._waiting = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._eof = False
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Queue bytes; the first of them are written at once."""
        if self._closing or self._real.is_closing():
            return
        self._waiting += data
        if self._timer is None:
            self._write_some()
        if len(self._waiting) > _HIGH_WATER_BYTES and not self._paused:
            self._paused = True
            self._protocol().pause_writing()

    def _write_some(self) -> None:
        self._timer = None
        if self._real.is_closing():
            self._waiting.clear()
            return
        self._real.write(bytes(self._waiting[: self._chunk]))
        del self._waiting[: self._chunk]
        if self._paused and len(self._waiting) < _LOW_WATER_BYTES:
            self._paused = False
            self._protocol().resume_writing()
        if self._waiting:
            self._timer = self._loop.call_later(self._interval, self._write_some)
        elif self._closing:
            self._real.close()
        elif self._eof:
            self._real.write_eof()

    def _protocol(self) -> asyncio.BaseProtocol:
        return self._real.get_protocol()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Queue several pieces."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Half-close once everything that waits is written."""
        self._eof = True
        if not self._waiting:
            self._real.write_eof()

    def close(self) -> None:
        """Close once everything that waits is written."""
        self._closing = True
        if not self._waiting:
            self._real.close()

    def abort(self) -> None:
        """Close at once; bytes that wait are lost."""
        self._waiting.clear()
        self._real.abort()

    def can_write_eof(self) -> bool:
        """Tell whether the real transport can half-close."""
        return self._real.can_write_eof()

    def is_closing(self) -> bool:
        """Tell whether no more can be written."""
        return self._closing or self._real.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the real transport's information."""
        return self._real.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are not written yet."""
        return len(self._waiting) + self._real.get_write_buffer_size()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the real transport's protocol."""
        return self._protocol()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Set the real transport's protocol."""
        self._real.set_protocol(protocol)

    def pause_reading(self) -> None:
        """Pause reading from the real transport."""
        self._real.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading from the real transport."""
        self._real.resume_reading()

    def is_reading(self) -> bool:
        """Tell whether the real transport is being read."""
        return self._real.is_reading()
