"""Authenticating Studio's HTTP requests: the token is validated with Auth (spec §2)."""

from __future__ import annotations

from urllib.parse import unquote

import aiohttp
from aiohttp import web

from memmie_fake_base.credentials import bearer_token
from memmie_fake_base.problems import Problem
from memmie_fake_studio.settings import StudioSettings


class Authenticator:
    """Validates each token with `auth_url`.

    Behind a gateway, which has validated the token and removed it, `X-User-ID` of a request without a token is trusted, as
    `user_id` of a WebSocket is. Without an `auth_url` it is trusted always.

    Args:
        settings: the fake Studio's settings.
    """

    def __init__(self, settings: StudioSettings) -> None:
        self._url = settings.auth_url.rstrip("/") + "/api/v1/auth/validate"
        self._trusts_header = not settings.auth_url
        self._behind_gateway = settings.behind_gateway
        self._timeout = aiohttp.ClientTimeout(total=settings.auth_timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the HTTP client for Auth."""
        if not self._trusts_header:
            self._session = aiohttp.ClientSession(timeout=self._timeout)

    async def close(self) -> None:
        """Close the connections to Auth."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def authenticate(self, request: web.Request) -> str:
        """Return the id of the user who makes the request.

        Raises:
            Problem: 401, the token is missing or refused; 503, Auth did not give a usable answer.
        """
        token = "" if self._trusts_header else bearer_token(request)
        from_gateway = self._behind_gateway and not token and "X-User-ID" in request.headers
        if self._trusts_header or from_gateway:
            user_id = unquote(request.headers.get("X-User-ID", ""))  # percent-encoded (spec §3)
            if not user_id:
                raise Problem(
                    401,
                    "no_user",
                    "the header X-User-ID is missing; this Studio has no auth_url, so it takes the user from this header",
                )
            return user_id
        if not token:
            raise Problem(401, "no_token", "the header Authorization: Bearer T is missing")
        return await self._validate(token)

    async def _validate(self, token: str) -> str:
        if self._session is None:
            raise Problem(503, "auth_unavailable", "this Studio is stopping")
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.post(self._url, json={"token": token}, headers=headers) as response:
                if response.status == 401:
                    raise Problem(401, "invalid_token", "Auth refused the token")
                if response.status != 200:
                    raise Problem(503, "auth_unavailable", f"Auth answered with status {response.status}")
                verdict = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Problem(
                503, "auth_unavailable", f"Auth gave no usable answer: {type(error).__name__}"
            ) from None
        if not isinstance(verdict, dict) or not isinstance(verdict.get("valid"), bool):
            raise Problem(503, "auth_unavailable", "Auth's answer does not say whether the token is valid")
        user_id = verdict.get("user_id")
        if not verdict["valid"] or not isinstance(user_id, str):
            raise Problem(401, "invalid_token", "Auth refused the token")
        return user_id
