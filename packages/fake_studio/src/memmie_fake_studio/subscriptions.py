"""Which events a connection wants (spec §4, `subscribe` and `unsubscribe`)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from memmie_fake_base.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection

_MOST = 1000


class Subscriptions:
    """Everything until the first `subscribe`; from then on what matches.

    An event matches when its type matches one of the `types` (`blob.*` style wildcards; none given: every type) and,
    where `bucket_ids` were given, it belongs to one of those buckets. Unsubscribing from the last one, or with
    empty lists from all of them, is everything again.
    """

    def __init__(self) -> None:
        self.types: set[str] = set()
        self.bucket_ids: set[str] = set()

    def subscribe(self, types: Collection[str], bucket_ids: Collection[str]) -> None:
        """Want these, too.

        Raises:
            Problem: neither was given, or too many.
        """
        if not types and not bucket_ids:
            raise Problem(400, "bad_field", "subscribe: give bucket_ids, types or both")
        if len(self.types | set(types)) > _MOST or len(self.bucket_ids | set(bucket_ids)) > _MOST:
            raise Problem(
                507, "store_full", f"subscribe: at most {_MOST} types and {_MOST} bucket_ids a connection"
            )
        self.types.update(types)
        self.bucket_ids.update(bucket_ids)

    def unsubscribe(self, types: Collection[str], bucket_ids: Collection[str]) -> None:
        """Want these no more; with nothing given, forget all subscriptions."""
        if not types and not bucket_ids:
            self.types.clear()
            self.bucket_ids.clear()
        self.types.difference_update(types)
        self.bucket_ids.difference_update(bucket_ids)

    def want(self, event_type: str, bucket_ids: Collection[str]) -> bool:
        """Tell whether an event is wanted."""
        if self.types and not any(fnmatchcase(event_type, pattern) for pattern in self.types):
            return False
        return not self.bucket_ids or not self.bucket_ids.isdisjoint(bucket_ids)
