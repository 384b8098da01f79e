"""The hooks that a service overrides; each does nothing by default."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from memmie_fake_base.faults import Fault


class Hooks:
    """The part of a fake server that differs between the services; `FakeServer` calls the hooks."""

    async def on_start(self) -> None:
        """Open what the service needs while it runs; called when the server listens."""

    async def on_stop(self) -> None:
        """Close what `on_start` opened; called when no connection is left."""

    async def close_connections(self, grace: float) -> None:
        """Close the service's connections in order, within `grace` seconds; those left are then aborted."""

    def abort_connections(self) -> None:
        """Abort the service's own connections; the server then aborts those left."""

    def clear_stores(self) -> None:
        """Remove everything that is stored."""

    def user_of(self, request: web.Request) -> str | None:  # noqa: ARG002 - a hook
        """Return the user that a request names, for faults that strike one user."""
        return None

    def strike_connection(self, connection_id: str, fault: Fault) -> None:
        """Let a fault strike one live connection at once.

        Raises:
            ValueError: no such connection is open, or the fault strikes requests only.
        """

    def control_routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the service's own control routes, below `/_control/`."""
        return ()
