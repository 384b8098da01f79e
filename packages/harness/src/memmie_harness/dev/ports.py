"""Where ``memmie dev`` lets each service listen."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_BASE = 8000
AUTH_OFFSET = 1
STUDIO_OFFSET = 10
MAX_STUDIOS = 50
LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Ports:
    """One port a service; 0 is any free one."""

    gateway: int
    auth: int
    studios: tuple[int, ...]


def plan_ports(base: int, studios: int) -> Ports:
    """The gateway at `base`, Auth one above, Studios from ten above; all 0 for a `base` of 0.

    >>> plan_ports(8000, 2)
    Ports(gateway=8000, auth=8001, studios=(8010, 8011))

    Raises:
        ValueError: A number is out of range, or the last Studio's port would be.
    """
    if not 1 <= studios <= MAX_STUDIOS:
        raise ValueError(f"--studios must be 1 to {MAX_STUDIOS}, not {studios}")
    highest_base = LAST_PORT - STUDIO_OFFSET - studios + 1
    if not 0 <= base <= highest_base:
        raise ValueError(
            f"--port-base must be 0 (any free ports) to {highest_base} (with {studios} Studios), not {base}"
        )
    if base == 0:
        return Ports(gateway=0, auth=0, studios=(0,) * studios)
    first_studio = base + STUDIO_OFFSET
    return Ports(base, base + AUTH_OFFSET, tuple(range(first_studio, first_studio + studios)))
