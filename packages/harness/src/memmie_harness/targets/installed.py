"""Finding the installed gateway, without importing it by name.

The harness does not depend on the gateway's code. A gateway that runs in this process is found by the entry point
group `memmie.services`, which another implementation could also provide.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final, Protocol, cast

from memmie_harness.targets.errors import TargetError

NOT_INSTALLED: Final = (
    "no gateway is installed in this environment. Install it with `pip install --find-links DIR memmie-gateway`; "
    "DIR is the folder that contains its wheel"
)
"""What to do where no gateway is installed."""


class Service(Protocol):
    """A gateway that runs in this process."""

    @property
    def url(self) -> str:
        """The HTTP address, known after the start."""
        ...

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be bound.
        """
        ...

    async def stop(self) -> None:
        """Drain and close everything."""
        ...


class ServiceClass(Protocol):
    """The class that the entry point names."""

    def from_env(self, environment: Mapping[str, str], /) -> Service:
        """Make a service with these settings, named as in the environment (spec §7)."""
        ...


def installed_gateway() -> ServiceClass:
    """Return the class of the installed gateway.

    Raises:
        TargetError: no gateway is installed.
    """
    for entry_point in entry_points(group="memmie.services", name="gateway"):
        return cast("ServiceClass", entry_point.load())
    raise TargetError(NOT_INSTALLED)


def setting_names() -> frozenset[str]:
    """Return the names of all settings of the installed gateway; empty if it does not tell them.

    Raises:
        TargetError: no gateway is installed.
    """
    names = getattr(installed_gateway(), "setting_names", frozenset)
    return frozenset(names())
