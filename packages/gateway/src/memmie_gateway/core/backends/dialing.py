"""How long each dial for one client may take (spec §3).

All dials for one client share one time-out, so that a client waits no longer for its answer if several backends hang.
"""

from __future__ import annotations

from typing import Final

LEAST_SHARE: Final = 0.1
"""Part of the time-out that a dial must have. A shorter one would say nothing about the backend."""


def share(timeout: float, spent: float, others: int) -> float:
    """Return the seconds for the next dial; 0 if there is no time for it.

    A dial may take half of the time that is left, and the last one all of it.

    Args:
        timeout: seconds for all dials of the client.
        spent: seconds since the first one began.
        others: number of backends that may be dialled after this one.
    """
    left = timeout - spent
    if left < timeout * LEAST_SHARE:
        return 0.0
    return left / 2 if others else left
