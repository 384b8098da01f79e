"""The last frame from a side that is still forwarded, because a Close frame waits for its end."""

from __future__ import annotations

from collections.abc import Callable

from memmie_gateway.net.sessions.leg import Leg


class LastFrame:
    """Forwards the rest of the current frame of a leg, and nothing of what follows.

    The leg still receives, so that a Close frame is recognised.

    Args:
        leg: the leg; it is inside a frame, and its output goes through here from now on.
        on_end: called with the leg after the last byte of the frame was forwarded; it must detach the leg.
    """

    __slots__ = ("_leg", "_missing", "_on_end", "_write")

    def __init__(self, leg: Leg, on_end: Callable[[Leg], None]) -> None:
        self._leg = leg
        self._missing = leg.scanner.remaining
        self._on_end = on_end
        self._write = leg.write
        leg.write = self._forward

    def __repr__(self) -> str:
        return f"<LastFrame {self._leg.side.value} missing={self._missing}>"

    def _forward(self, data: bytes) -> None:
        rest = data[: self._missing]
        self._write(rest)
        self._missing -= len(rest)
        if not self._missing:
            self._on_end(self._leg)
