"""Types of what the fixtures give, for annotations in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from websockets.asyncio.client import ClientConnection

    from memmie_harness.targets import Target


class MintToken(Protocol):
    """``memmie_token``: a valid token of a user."""

    def __call__(self, user_id: str = "u1", /, *, ttl_seconds: float = 3600) -> str:
        """Return the token; it expires after `ttl_seconds`."""
        ...


class StartGateway(Protocol):
    """``memmie_start_gateway``: one more gateway on the test's Auth and Studios."""

    async def __call__(
        self, env: Mapping[str, object] | None = None, /, *, until_ready: bool = True
    ) -> Target:
        """Start it with settings `env` besides those of the test's mark; it is stopped after the test.

        Raises:
            TargetError: It did not start, or (unless `until_ready` is ``False``) did not become ready.
        """
        ...


class Connect(Protocol):
    """``memmie_connect``: one more WebSocket client of the gateway."""

    async def __call__(
        self,
        user_id: str | None = "u1",
        /,
        *,
        token: str | None = None,
        target: Target | None = None,
        **options: Any,
    ) -> ClientConnection:
        """Open a connection; it is closed after the test.

        Args:
            user_id: Whose token is sent; ``None`` sends none.
            token: Send this one instead.
            target: Another gateway than ``memmie_gateway``.
            options: Anything else for `websockets.asyncio.client.connect`.

        Raises:
            websockets.exceptions.InvalidStatus: The gateway refused; ``error.response`` is its answer.
        """
        ...
