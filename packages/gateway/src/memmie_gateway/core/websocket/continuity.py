"""Whether a session goes on or ends when one of its legs fails.

A leg fails when its connection is lost or when it no longer answers pings. Today a session ends either way, and the
other side is told. Whatever is to replace a failed leg some day is decided here.
"""

from __future__ import annotations

from typing import Final

from memmie_gateway.core.outcomes import Cause, Side

_LOST: Final = {Side.CLIENT: Cause.CLIENT_GONE, Side.BACKEND: Cause.BACKEND_GONE}
_SILENT: Final = {Side.CLIENT: Cause.CLIENT_SILENT, Side.BACKEND: Cause.BACKEND_SILENT}


def on_leg_lost(side: Side) -> Cause:
    """Return why the session ends now that the connection to `side` is lost."""
    return _LOST[side]


def on_leg_silent(side: Side) -> Cause:
    """Return why the session ends now that `side` does not answer a ping."""
    return _SILENT[side]
