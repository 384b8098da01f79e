"""The ports of `memmie dev`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEFAULT_BASE: Final = 8000
"""The gateway's port by default."""

AUTH_OFFSET: Final = 1
"""How far Auth's port is above the gateway's."""

STUDIO_OFFSET: Final = 10
"""How far the first Studio's port is above the gateway's."""

DEFAULT_STUDIOS: Final = 2
"""How many fake Studios a stack has by default."""

MAX_STUDIOS: Final = 50
"""How many Studios a stack may have."""

LAST_PORT: Final = 65535
"""The highest port there is."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The port of each service; 0 takes a free one.

    Attributes:
        gateway: the gateway's port.
        auth: Auth's port.
        studios: the Studios' ports.
    """

    gateway: int
    auth: int
    studios: tuple[int, ...]


def plan_ports(base: int, studios: int) -> Ports:
    """Return the ports of a stack: the gateway at `base`, Auth 1 above, the Studios from 10 above.

    >>> plan_ports(8000, 2)
    Ports(gateway=8000, auth=8001, studios=(8010, 8011))

    Args:
        base: the gateway's port; 0 makes all ports 0.
        studios: how many Studios there are.

    Raises:
        ValueError: an argument, or the last Studio's port, is out of range.
    """
    if not 1 <= studios <= MAX_STUDIOS:
        raise ValueError(f"--studios must be from 1 to {MAX_STUDIOS}, not {studios}")
    highest_base = LAST_PORT - STUDIO_OFFSET - studios + 1
    if not 0 <= base <= highest_base:
        raise ValueError(
            f"--port-base is {base}; with --studios {studios} it must be from 0 to {highest_base}, and 0 means any free ports"
        )
    if base == 0:
        return Ports(gateway=0, auth=0, studios=(0,) * studios)
    first_studio = base + STUDIO_OFFSET
    return Ports(base, base + AUTH_OFFSET, tuple(range(first_studio, first_studio + studios)))
