"""Where a service fills in what is its own; each hook does nothing unless it is overridden."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

    from memmie_fake_base.faults import Fault


class Hooks:
    """Called by `FakeServer` at the moments their names say."""

    async def opened(self) -> None:
        """Open what the service needs while it listens."""

    async def closed(self) -> None:
        """Close it again."""

    async def say_goodbye(self, grace: float) -> None:
        """Close connections politely within `grace` seconds, before the rest are cut."""

    def cut_connections(self) -> None:
        """Cut the connections the service keeps account of, before the rest are cut."""

    def forget(self) -> None:
        """Empty the stores."""

    def user_of(self, request: web.Request) -> str | None:  # noqa: ARG002 -- a hook
        """Return whose request it is, for faults that strike one user."""
        return None

    def strike_connection(self, connection_id: str, fault: Fault) -> None:
        """Strike one live connection at once.

        Raises:
            ValueError: there is no such connection, or the fault strikes requests.
        """

    def control_routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the service's own control routes, below `/_control/`."""
        return ()
