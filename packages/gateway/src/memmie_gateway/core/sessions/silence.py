"""The silence of a backend: whether its sessions bring nothing any more, although some of them were pinged.

A health check can fail while the sessions are well. So the clients of an unhealthy backend are told only if it is
silent, too. The time is counted in looks at regular intervals, not on a clock: if the process of the gateway is stopped
for a minute and continues, the answers of this minute are not read yet, and the minute must not count as silence.
"""

from __future__ import annotations

from typing import Final

LOOKS: Final = 10
"""Number of looks after which a backend without a sign of life is silent."""


class Silence:
    """The silence of a backend since some of its sessions were pinged.

    Args:
        heard: number of bytes that all sessions had received from it before.
    """

    __slots__ = ("_heard", "_looks", "broken")

    def __init__(self, heard: int) -> None:
        self._heard = heard
        self._looks = 0
        self.broken = False
        """Whether it was heard again."""

    def __repr__(self) -> str:
        return f"<Silence looks={self._looks} broken={self.broken}>"

    def look(self) -> None:
        """Count that one interval has passed."""
        self._looks += 1

    @property
    def long_enough(self) -> bool:
        """Whether the silence, if there was one, has lasted long enough."""
        return not self.broken and self._looks >= LOOKS

    def lasts(self, heard: int) -> bool:
        """Tell whether the sessions have received nothing since; `heard` is the number of bytes now."""
        self.broken = self.broken or heard != self._heard
        return not self.broken
