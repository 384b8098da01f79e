"""Whose HTTP request it is: Studio asks Auth about the token (spec §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from memmie_fake_base.problems import Problem

if TYPE_CHECKING:
    from aiohttp import web

    from memmie_fake_studio.settings import StudioSettings


class Guard:
    """Asks `auth_url` about each token; without an `auth_url` it trusts `X-User-ID`, as behind a gateway."""

    def __init__(self, settings: StudioSettings) -> None:
        self._url = settings.auth_url.rstrip("/") + "/api/v1/auth/validate"
        self._trusting = not settings.auth_url
        self._timeout = aiohttp.ClientTimeout(total=settings.auth_timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready to ask."""
        if not self._trusting:
            self._session = aiohttp.ClientSession(timeout=self._timeout)

    async def close(self) -> None:
        """Let go of the connections to Auth."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def user_of(self, request: web.Request) -> str:
        """Return the user whose request it is.

        Raises:
            Problem: 401 without a token or with a refused one, 503 where Auth gives no answer.
        """
        if self._trusting:
            user_id = request.headers.get("X-User-ID", "")
            if not user_id:
                raise Problem(
                    401, "no_user", "X-User-ID is missing (this Studio has no auth_url and trusts it)"
                )
            return user_id
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Problem(401, "no_token", "Authorization: Bearer T is missing")
        return await self._ask(token.strip())

    async def _ask(self, token: str) -> str:
        if self._session is None:
            raise Problem(503, "auth_unavailable", "this Studio is stopping")
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.post(self._url, json={"token": token}, headers=headers) as response:
                if response.status == 401:
                    raise Problem(401, "invalid_token", "Auth refused the token")
                if response.status != 200:
                    raise Problem(503, "auth_unavailable", f"Auth answered {response.status}")
                verdict = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Problem(503, "auth_unavailable", f"Auth gave no answer: {type(error).__name__}") from None
        if not isinstance(verdict, dict) or not isinstance(verdict.get("valid"), bool):
            raise Problem(503, "auth_unavailable", "Auth answered something else than a verdict")
        user_id = verdict.get("user_id")
        if not verdict["valid"] or not isinstance(user_id, str):
            raise Problem(401, "invalid_token", "Auth refused the token")
        return user_id
