"""A store with a limit, which refuses new items when it is full."""

from __future__ import annotations

from typing import Generic, TypeVar

from memmie_fake_base.problems import Problem

V = TypeVar("V")


class BoundedStore(dict[str, V], Generic[V]):
    """A dict with a limit; adding one more item raises a `Problem` 507 that names the store.

    It refuses instead of evicting: a test that needs more gets an error, and never loses its oldest items silently.

    Args:
        what: what the items are called in messages, in the plural.
        limit: how many items it holds.

    Raises:
        ValueError: `limit` is less than 1.
    """

    def __init__(self, what: str, limit: int) -> None:
        super().__init__()
        if limit < 1:
            raise ValueError(f"{what}: a limit of {limit} given, at least 1 allowed")
        self.what = what
        self.limit = limit

    def __setitem__(self, key: str, value: V) -> None:
        if key not in self and len(self) >= self.limit:
            raise Problem(
                507,
                "store_full",
                f"this fake holds at most {self.limit} {self.what}: POST /_control/reset empties it, "
                "its settings raise the limit",
            )
        super().__setitem__(key, value)
