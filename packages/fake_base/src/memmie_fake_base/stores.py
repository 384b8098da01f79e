"""Memory has an end: a store that refuses instead of growing or forgetting."""

from __future__ import annotations

from typing import Generic, TypeVar

from memmie_fake_base.problems import Problem

V = TypeVar("V")


class BoundedStore(dict[str, V], Generic[V]):
    """A dict that holds at most `limit` items; adding one more is a 507 that names the store.

    Refusing beats evicting: a test that outgrows the fake is told so, instead of finding its oldest things gone.
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
