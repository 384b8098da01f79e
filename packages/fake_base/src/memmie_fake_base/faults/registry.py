"""The scripted faults, and which of them strike a request."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, TypeVar

from memmie_fake_base.faults.fault import Fault, parameters_of

F = TypeVar("F", bound=Fault)

_MAX_FAULTS: Final = 1000
"""How many faults can be scripted at a time."""


@dataclass(slots=True, kw_only=True)
class ScriptedFault:
    """A fault with the requests it strikes and how often.

    Attributes:
        id: identifies it in `DELETE /_control/faults/{id}`.
        fault: the fault.
        route: the paths it strikes, with shell wildcards (`/api/*`); `*` is every path.
        user_id: the user it strikes; None is every user.
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
        """Whether it has struck `times` times."""
        return self.times is not None and self.struck >= self.times

    def matches(self, path: str, user_id: str | None) -> bool:
        """Tell whether it strikes a request for `path` by `user_id`."""
        return fnmatchcase(path, self.route) and self.user_id in (None, user_id)

    def describe(self) -> dict[str, Any]:
        """Return the scripted fault as JSON."""
        return {
            "id": self.id,
            "fault": self.fault.name,
            "route": self.route,
            "user_id": self.user_id,
            "times": self.times,
            "struck": self.struck,
            "parameters": parameters_of(self.fault),
        }


class FaultRegistry:
    """The scripted faults, in the order in which they were scripted and strike."""

    def __init__(self) -> None:
        self._faults: dict[str, ScriptedFault] = {}
        self._numbers = itertools.count(1)

    def next_id(self) -> str:
        """Return an id that was not used before."""
        return f"f{next(self._numbers)}"

    def add(self, scripted: ScriptedFault) -> None:
        """Add a fault; spent ones make room for it.

        Raises:
            ValueError: `times` or `route` is invalid, or too many faults are scripted.
        """
        if scripted.times is not None and scripted.times < 1:
            raise ValueError(
                f"times: {scripted.times} is given; allowed: 1 or more (leave this parameter out for no limit)"
            )
        if scripted.route != "*" and not scripted.route.startswith(("/", "*")):
            raise ValueError(f"route: {scripted.route!r} is given; allowed: a path such as /ws, /api/* or *")
        if len(self._faults) >= _MAX_FAULTS:
            self._faults = {key: each for key, each in self._faults.items() if not each.spent}
        if len(self._faults) >= _MAX_FAULTS:
            raise ValueError(
                f"{_MAX_FAULTS} faults are scripted, and no more are allowed; delete some of them, or reset the fake"
            )
        self._faults[scripted.id] = scripted

    def remove(self, fault_id: str) -> bool:
        """Remove a fault; return whether it was there."""
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def strikes(self, kind: type[F], *, path: str, user_id: str | None) -> Iterator[F]:
        """Yield the faults of a kind that strike this request, and count each when it is yielded.

        A caller that stops early has therefore spent only the faults it has used.
        """
        for scripted in list(self._faults.values()):
            fault = scripted.fault
            if isinstance(fault, kind) and scripted.matches(path, user_id) and not scripted.spent:
                scripted.struck += 1
                yield fault

    def describe(self) -> list[dict[str, Any]]:
        """Return all faults as JSON."""
        return [scripted.describe() for scripted in self._faults.values()]
