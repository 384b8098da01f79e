"""A transport that writes no faster than told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICK_SECONDS = 0.02
_HIGH_WATER_BYTES = 64 * 1024
_LOW_WATER_BYTES = 16 * 1024


class DrippingTransport(asyncio.Transport):
    """Stands before a real transport and hands its writes on a few bytes at a time.

    Reading is untouched. Back-pressure works as ever: the protocol's writing is paused while much is waiting.
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
        """Queue bytes; the first of them leave at once."""
        if self._closing or self._real.is_closing():
            return
        self._waiting += data
        if self._timer is None:
            self._drip()
        if len(self._waiting) > _HIGH_WATER_BYTES and not self._paused:
            self._paused = True
            self._protocol().pause_writing()

    def _drip(self) -> None:
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
            self._timer = self._loop.call_later(self._interval, self._drip)
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
        """Half-close once everything waiting has left."""
        self._eof = True
        if not self._waiting:
            self._real.write_eof()

    def close(self) -> None:
        """Close once everything waiting has left."""
        self._closing = True
        if not self._waiting:
            self._real.close()

    def abort(self) -> None:
        """Close at once; what is waiting is lost."""
        self._waiting.clear()
        self._real.abort()

    def can_write_eof(self) -> bool:
        """Tell whether the real transport can half-close."""
        return self._real.can_write_eof()

    def is_closing(self) -> bool:
        """Tell whether no more can be written."""
        return self._closing or self._real.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the real transport knows."""
        return self._real.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes have not left yet."""
        return len(self._waiting) + self._real.get_write_buffer_size()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the real transport's protocol."""
        return self._protocol()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give the real transport another protocol."""
        self._real.set_protocol(protocol)

    def pause_reading(self) -> None:
        """Stop reading from the real transport."""
        self._real.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading."""
        self._real.resume_reading()

    def is_reading(self) -> bool:
        """Tell whether the real transport is read."""
        return self._real.is_reading()
