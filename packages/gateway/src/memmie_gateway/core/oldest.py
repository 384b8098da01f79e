"""Times by key, the oldest first: what sliding windows remember, and forget at a bounded cost.

An `OrderedDict` and not a `dict`: to find the first entry of a `dict`, Python passes all those that were deleted before
it. To delete 30,000 entries, one after the other, would stop the event loop for most of a second.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")


def drop_until(times: OrderedDict[K, float], last: float) -> list[K]:
    """Drop the keys with a time up to `last`, and return them. Each key costs the same, however many there are."""
    dropped: list[K] = []
    while times:
        key = next(iter(times))
        if times[key] > last:
            break
        del times[key]
        dropped.append(key)
    return dropped
