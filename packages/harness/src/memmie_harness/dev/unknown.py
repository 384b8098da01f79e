"""Settings of `memmie dev --env` that the gateway does not know."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

_NEAR = 0.6
"""How similar a setting must be to be named, from 0 to 1. Each given name is meant for the gateway, so a guess helps."""


def notes(given: Iterable[str], known: Collection[str]) -> list[str]:
    """Return a line for each name that is not a setting, with the nearest one.

    >>> notes(["PING_INTERVAL", "PORT"], {"PING_INTERVAL_SECONDS", "PORT"})
    ['PING_INTERVAL is not a setting of the gateway. Did you mean PING_INTERVAL_SECONDS?']

    Args:
        given: names in capital letters.
        known: the names of all settings; empty if they are unknown, so that every name may be one.
    """
    lines = []
    for name in given:
        if not known or name in known:
            continue
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)
        what_now = f"Did you mean {nearest[0]}?" if nearest else "`memmie-gateway settings` lists them."
        lines.append(f"{name} is not a setting of the gateway. {what_now}")
    return lines
