"""What a scenario loads: addresses, and the processes it may look at or end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class System:
    """A gateway with what stands behind it.

    Attributes:
        gateways: WebSocket addresses; the first is loaded, a second one takes over where the scenario has it so.
        gateway_pids: the process of each gateway; empty where they cannot be seen from here.
        studios: WebSocket addresses of the Studios behind it, for what goes there directly.
        studio_pids: the process of each Studio; empty where they cannot be seen from here.
        auth_url: base URL of a fake Auth, which mints the tokens; empty where they come from a file.
    """

    gateways: tuple[str, ...]
    gateway_pids: tuple[int, ...] = ()
    studios: tuple[str, ...] = ()
    studio_pids: tuple[int, ...] = ()
    auth_url: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> System:
        """Return what `as_json` has returned."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
        }
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Plan:
    """A stack to be started on this machine.

    Attributes:
        connections: the most that will be open at once.
        gateways: how many; they have the same Studios.
        studios: how many.
        pinned: whether the gateways have a core for themselves, and all else has the others.
        settings: of the gateways (spec §7), besides those that join them to the rest and raise every limit.
    """

    connections: int
    gateways: int = 1
    studios: int = 2
    pinned: bool = True
    settings: Mapping[str, str] | None = None
