"""Which faults are scripted, and which of them strike now."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

from memmie_fake_base.faults.fault import Fault, parameters_of

if TYPE_CHECKING:
    from collections.abc import Iterator

F = TypeVar("F", bound=Fault)

_MOST_FAULTS = 1000


@dataclass(slots=True, kw_only=True)
class ScriptedFault:
    """A fault, where it strikes and how often.

    Attributes:
        id: names it in `DELETE /_control/faults/{id}`.
        fault: what happens.
        route: a path, with shell wildcards (`/api/*`); `*` is every path.
        user_id: only this user's requests and connections; None is everybody's.
        times: how often it strikes before it is spent; None is always.
        struck: how often it has struck.
    """

    id: str
    fault: Fault
    route: str = "*"
    user_id: str | None = None
    times: int | None = None
    struck: int = 0

    @property
    def spent(self) -> bool:
        """Whether it has struck as often as it was to."""
        return self.times is not None and self.struck >= self.times

    def matches(self, path: str, user_id: str | None) -> bool:
        """Tell whether it strikes a request for `path` by `user_id`."""
        return fnmatchcase(path, self.route) and self.user_id in (None, user_id)

    def describe(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "id": self.id,
            "fault": self.fault.name,
            "route": self.route,
            "user_id": self.user_id,
            "times": self.times,
            "struck": self.struck,
            "parameters": parameters_of(self.fault),
        }


class FaultBook:
    """The scripted faults in the order they were scripted, which is the order they strike in."""

    def __init__(self) -> None:
        self._faults: dict[str, ScriptedFault] = {}
        self._numbers = itertools.count(1)

    def next_id(self) -> str:
        """Return an id no fault has had."""
        return f"f{next(self._numbers)}"

    def add(self, scripted: ScriptedFault) -> None:
        """Write a fault into the book.

        Raises:
            ValueError: `times` or `route` is not usable, or the book is full.
        """
        if scripted.times is not None and scripted.times < 1:
            raise ValueError(f"times: {scripted.times} given, 1 or more allowed (leave it out for always)")
        if scripted.route != "*" and not scripted.route.startswith(("/", "*")):
            raise ValueError(f"route: {scripted.route!r} given, allowed: a path such as /ws, /api/* or *")
        if len(self._faults) >= _MOST_FAULTS:
            self._faults = {key: each for key, each in self._faults.items() if not each.spent}
        if len(self._faults) >= _MOST_FAULTS:
            raise ValueError(f"{_MOST_FAULTS} faults are scripted, no more are allowed: delete some or reset")
        self._faults[scripted.id] = scripted

    def remove(self, fault_id: str) -> bool:
        """Strike a fault out; return whether it was there."""
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Strike all out."""
        self._faults.clear()

    def strikes(self, kind: type[F], *, path: str, user_id: str | None) -> Iterator[F]:
        """Yield the faults of a kind that strike now, counting each as it is taken (so an early stop spends no more)."""
        for scripted in list(self._faults.values()):
            fault = scripted.fault
            if isinstance(fault, kind) and scripted.matches(path, user_id) and not scripted.spent:
                scripted.struck += 1
                yield fault

    def describe(self) -> list[dict[str, Any]]:
        """Return all of them as JSON."""
        return [scripted.describe() for scripted in self._faults.values()]
