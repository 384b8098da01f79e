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
        cleared_by_reset: whether `POST /_control/reset` clears it; the message then says so.

    Raises:
        ValueError: `limit` is less than 1.
    """

    def __init__(self, what: str, limit: int, *, cleared_by_reset: bool = True) -> None:
        super().__init__()
        if limit < 1:
            raise ValueError(f"{what}: a limit of {limit} is given; allowed: 1 or more")
        self.what = what
        self.limit = limit
        self._cleared_by_reset = cleared_by_reset

    def __setitem__(self, key: str, value: V) -> None:
        if key not in self and len(self) >= self.limit:
            words = f"this fake holds at most {self.limit} {self.what}. To hold more, raise this limit in the settings of the fake."
            if self._cleared_by_reset:
                words += f" POST /_control/reset removes all {self.what}."
            raise Problem(507, "store_full", words)
        super().__setitem__(key, value)
