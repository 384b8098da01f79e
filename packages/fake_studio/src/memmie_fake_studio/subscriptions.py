"""The events that a connection subscribes to (spec §4, `subscribe` and `unsubscribe`)."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Final

from memmie_fake_base.problems import Problem

_MAX: Final = 1000
"""How many types, and how many buckets, a connection may subscribe to."""


class Subscriptions:
    """One connection's subscriptions; without any, it gets every event.

    An event matches if its type matches one of `types` (with wildcards, `blob.*`) and it belongs to one of
    `bucket_ids`; an empty set of either matches every event.

    Attributes:
        types: the subscribed event types.
        bucket_ids: the subscribed buckets.
    """

    def __init__(self) -> None:
        self.types: set[str] = set()
        self.bucket_ids: set[str] = set()

    def subscribe(self, types: Collection[str], bucket_ids: Collection[str]) -> None:
        """Add subscriptions.

        Raises:
            Problem: 400, neither was given; 507, too many.
        """
        if not types and not bucket_ids:
            raise Problem(400, "bad_field", "subscribe: give bucket_ids, types or both")
        if len(self.types | set(types)) > _MAX or len(self.bucket_ids | set(bucket_ids)) > _MAX:
            raise Problem(
                507,
                "store_full",
                f"subscribe: a connection can have at most {_MAX} types and {_MAX} bucket_ids",
            )
        self.types.update(types)
        self.bucket_ids.update(bucket_ids)

    def unsubscribe(self, types: Collection[str], bucket_ids: Collection[str]) -> None:
        """Remove subscriptions; if neither is given, remove all."""
        if not types and not bucket_ids:
            self.types.clear()
            self.bucket_ids.clear()
        self.types.difference_update(types)
        self.bucket_ids.difference_update(bucket_ids)

    def match(self, event_type: str, bucket_ids: Collection[str]) -> bool:
        """Tell whether the connection gets an event."""
        if self.types and not any(fnmatchcase(event_type, pattern) for pattern in self.types):
            return False
        return not self.bucket_ids or not self.bucket_ids.isdisjoint(bucket_ids)
