"""Finding the gateway that is installed here, without importing it by name.

The harness meets the gateway on the wire; where one runs in this process, it comes through the entry point
group ``memmie.services``, so another gateway could stand there as well.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, cast

from memmie_harness.targets.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_INSTALLED = "there is no gateway in this environment: pip install memmie-gateway (with --find-links DIR, where its wheel is)"


class Service(Protocol):
    """A gateway that runs in this process."""

    @property
    def url(self) -> str:
        """The HTTP address, known once started."""
        ...

    async def start(self) -> None:
        """Listen; raises `OSError` if the port is taken."""
        ...

    async def stop(self) -> None:
        """Drain and close everything."""
        ...


class ServiceClass(Protocol):
    """What the entry point names."""

    def from_env(self, environment: Mapping[str, str], /) -> Service:
        """Build a service from settings as they would stand in the environment (spec §7)."""
        ...


def installed_gateway() -> ServiceClass:
    """The gateway class that this environment offers.

    Raises:
        TargetError: None is installed.
    """
    for entry_point in entry_points(group="memmie.services", name="gateway"):
        return cast("ServiceClass", entry_point.load())
    raise TargetError(NOT_INSTALLED)
