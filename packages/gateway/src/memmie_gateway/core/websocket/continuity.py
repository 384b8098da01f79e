"""The decision what happens to a session when one of its legs fails.

A leg fails when its connection is lost, or when its side is dead (see `keepalive`). The session then ends with a cause.
A decision to continue with another backend would belong here, too.
"""

from __future__ import annotations

from typing import Final

from memmie_gateway.core.outcomes import Cause, Side

_LOST: Final = {Side.CLIENT: Cause.CLIENT_GONE, Side.BACKEND: Cause.BACKEND_GONE}
_DEAD: Final = {Side.CLIENT: Cause.CLIENT_SILENT, Side.BACKEND: Cause.BACKEND_SILENT}


def on_leg_lost(side: Side) -> Cause:
    """Return the cause with which the session ends after the connection to `side` was lost."""
    return _LOST[side]


def on_leg_dead(side: Side) -> Cause:
    """Return the cause with which the session ends if `side` is dead."""
    return _DEAD[side]
