"""The types of the plugin's fixtures, for annotations in tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection

from memmie_harness.targets import Target


class MintToken(Protocol):
    """The type of `memmie_token`, which returns a valid token of a user."""

    def __call__(self, user_id: str = "u1", /, *, ttl_seconds: float = 3600) -> str:
        """Return the token; it expires after `ttl_seconds`."""
        ...


class StartGateway(Protocol):
    """The type of `memmie_start_gateway`, which starts one more gateway with the test's Auth and Studios."""

    async def __call__(
        self, env: Mapping[str, object] | None = None, /, *, until_ready: bool = True
    ) -> Target:
        """Start a gateway, which is stopped after the test.

        Args:
            env: settings in addition to those of the test's mark.
            until_ready: wait until it is ready; `False` waits only until it listens.

        Raises:
            TargetError: the gateway did not start, or did not become ready.
        """
        ...


class HasWebSocket(Protocol):
    """Anything that clients can connect to, such as a `Target`, or the object of a `conftest.py`."""

    @property
    def ws_url(self) -> str:
        """The address of its WebSocket route."""
        ...


class Connect(Protocol):
    """The type of `memmie_connect`, which opens one more WebSocket client."""

    async def __call__(
        self,
        user_id: str | None = "u1",
        /,
        *,
        token: str | None = None,
        target: HasWebSocket | None = None,
        **options: Any,
    ) -> ClientConnection:
        """Open a connection; it is closed after the test.

        Args:
            user_id: the user for whom a token is minted; `None` sends no token.
            token: a token to send instead.
            target: the gateway; by default `memmie_gateway`.
            **options: more arguments of `websockets.asyncio.client.connect`.

        Raises:
            websockets.exceptions.InvalidStatus: the gateway refused the connection; `error.response` is its answer.
        """
        ...


class ConnectSocketIo(Protocol):
    """The type of `memmie_socketio`, which opens one more client of Socket.IO."""

    async def __call__(
        self,
        user_id: str | None = "u1",
        /,
        *,
        token: str | None = None,
        target: Target | None = None,
        **options: Any,
    ) -> Any:
        """Open a connection; it is closed after the test.

        Args:
            user_id: the user for whom a token is minted; `None` sends no token.
            token: a token to send instead.
            target: the gateway; by default `memmie_gateway`.
            **options: more arguments of `socketio.AsyncSimpleClient.connect`, such as `transports=["polling"]`.

        Returns:
            a `socketio.AsyncSimpleClient`; python-socketio ships no types.

        Raises:
            socketio.exceptions.ConnectionError: the gateway refused the connection.
        """
        ...
