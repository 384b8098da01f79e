"""What a scenario loads: addresses, and the processes it may look at or end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class System:
    """A gateway with what stands behind it.

    Attributes:
        gateways: WebSocket addresses; the first is loaded, a second one takes over if the scenario needs that.
        gateway_pids: the process of each gateway; empty if they cannot be seen from here.
        studios: WebSocket addresses of the Studios behind it, for messages that go there directly.
        studio_pids: the process of each Studio; empty if they cannot be seen from here.
        auth_url: base URL of a fake Auth, which mints the tokens; empty if they come from a file.
    """

    gateways: tuple[str, ...]
    gateway_pids: tuple[int, ...] = ()
    studios: tuple[str, ...] = ()
    studio_pids: tuple[int, ...] = ()
    auth_url: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A stack to be started on this machine.

    Attributes:
        connections: the most that will be open at once.
        gateways: how many; they have the same Studios.
        pinned: whether the gateways have a core for themselves, and everything else the others.
        settings: of the gateways (spec §7), besides those that join them to the rest and raise every limit.
    """

    connections: int
    gateways: int = 1
    pinned: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
