"""The fake Auth service: the HTTP routes of spec §5."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from memmie_fake_auth.refresh_tokens import RefreshTokens
from memmie_fake_auth.settings import AuthSettings
from memmie_fake_auth.tokens import Claims, RefusedTokenError, TokenKind, TokenMint
from memmie_fake_auth.users import User, Users
from memmie_fake_base import FakeServer
from memmie_fake_base.bodies import only, optional, read_object, required
from memmie_fake_base.credentials import bearer_token
from memmie_fake_base.problems import Problem

_DEFAULTS: Final = AuthSettings()
"""Settings of a fake Auth that is given none."""


class FakeAuth(FakeServer):
    """A faithful fake of Auth: `async with FakeAuth() as auth: auth.url, auth.mint("u1")`.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
        settings: all settings.
        **changes: single settings, by name (`access_ttl_seconds=5`).

    Raises:
        ValueError: a setting is invalid; the message says what is allowed.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, settings: AuthSettings = _DEFAULTS, **changes: Any
    ) -> None:
        self.settings = replace(settings, **changes)
        super().__init__(
            host,
            port,
            log_entries=self.settings.log_entries,
            max_body_bytes=self.settings.max_body_bytes,
            cors_origins=self.settings.cors_origins,
        )
        self._mint = TokenMint(self.settings)
        self._users = Users(self.settings.max_users)
        self._refresh = RefreshTokens(self.settings.max_refresh_tokens, self.settings.refresh_ttl_seconds)

    def mint(
        self, user_id: str = "u1", *, ttl_seconds: float = 3600, kind: TokenKind = "valid", email: str = ""
    ) -> str:
        """Return a token for any user, registered or not.

        Args:
            user_id: the subject.
            ttl_seconds: how long it is valid.
            kind: `valid`, `expired`, `revoked` or `bad_signature`.
            email: the subject's e-mail address; empty derives one from `user_id`.

        Raises:
            ValueError: the user is empty, the lifetime is not positive, or the kind is unknown.
            Problem: for `revoked`, too many unexpired tokens are revoked already.
        """
        return self._minted(user_id, ttl_seconds, kind, email)[0]

    def _minted(self, user_id: str, ttl_seconds: float, kind: TokenKind, email: str) -> tuple[str, int]:
        return self._mint.mint(
            user_id, email=email or f"{user_id}@example.test", ttl_seconds=ttl_seconds, kind=kind
        )

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes of spec §5."""
        return [
            web.get("/health", self._health),
            web.get("/.well-known/jwks.json", self._jwks),
            web.post("/api/v1/auth/register", self._register),
            web.post("/api/v1/auth/login", self._log_in),
            web.post("/api/v1/auth/validate", self._validate),
            web.post("/api/v1/auth/refresh", self._refresh_token),
            web.post("/api/v1/auth/logout", self._log_out),
            web.get("/api/v1/users/{id}", self._user),
        ]

    def control_routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return `POST /_control/tokens`."""
        return [web.post("/_control/tokens", self._control_tokens)]

    def clear_stores(self) -> None:
        """Remove users and refresh tokens; access tokens stay valid or revoked."""
        self._users.clear()
        self._refresh.clear()

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "healthy", "service": "auth"})

    async def _jwks(self, _: web.Request) -> web.Response:
        return web.json_response(self._mint.key.jwks())

    async def _register(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        user = await self._users.register(
            email=required(body, "email", str),
            password=required(body, "password", str),
            username=required(body, "username", str),
            phone=optional(body, "phone", str) or "",
        )
        return self._session(user, status=201)

    async def _log_in(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        user = await self._users.log_in(required(body, "email", str), required(body, "password", str))
        return self._session(user)

    async def _refresh_token(self, request: web.Request) -> web.Response:
        user = self._users.get(
            self._refresh.redeem(required(await read_object(request), "refresh_token", str))
        )
        if user is None:
            raise Problem(
                401, "invalid_refresh_token", "the user of the refresh token is no longer registered"
            )
        return self._session(user)

    def _session(self, user: User, status: int = 200) -> web.Response:
        token, expires = self._mint.mint(
            user.user_id, email=user.email, phone=user.phone, ttl_seconds=self.settings.access_ttl_seconds
        )
        session = {
            "user_id": user.user_id,
            "token": token,
            "refresh_token": self._refresh.issue(user.user_id),
            "expires": expires,
        }
        return web.json_response(session, status=status)

    async def _validate(self, request: web.Request) -> web.Response:
        in_header = bearer_token(request)
        in_body = optional(await read_object(request), "token", str)
        if in_header and in_body and in_header != in_body:
            raise Problem(
                400,
                "two_tokens",
                "the token in the header Authorization differs from the token in the body; send only one token",
            )
        token = in_body or in_header
        if not token:
            raise Problem(
                400,
                "no_token",
                'the token is missing; send the header "Authorization: Bearer T", or the body {"token": "T"}',
            )
        try:
            claims = self._mint.verify(token)
        except RefusedTokenError as refusal:
            status = 401 if self.settings.refusal == "status" else 200
            return web.json_response(
                {"valid": False, "error": str(refusal), "code": "invalid_token"}, status=status
            )
        return web.json_response(
            {
                "valid": True,
                "user_id": claims.user_id,
                "email": claims.email,
                "phone": claims.phone,
                "expires": claims.expires,
            }
        )

    async def _log_out(self, request: web.Request) -> web.Response:
        claims = self._claims(request)
        self._mint.revoke(claims.token_id, claims.expires)
        self._refresh.revoke_all_of(claims.user_id)
        return web.json_response({"revoked": True})

    async def _user(self, request: web.Request) -> web.Response:
        claims = self._claims(request)
        user_id = request.match_info["id"]
        if claims.user_id != user_id:
            raise Problem(403, "forbidden", "the token belongs to another user")
        user = self._users.get(user_id)
        if user is None:
            raise Problem(404, "not_found", "no user with this id is registered")
        return web.json_response(user.describe())

    def _claims(self, request: web.Request) -> Claims:
        try:
            return self._mint.verify(bearer_token(request))
        except RefusedTokenError as refusal:
            raise Problem(401, "invalid_token", str(refusal)) from None

    async def _control_tokens(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        only(body, "user_id", "ttl_seconds", "kind", "email")
        ttl_seconds = optional(body, "ttl_seconds", float)
        kind: Any = optional(body, "kind", str) or "valid"  # `mint` refuses an unknown kind
        try:
            token, expires = self._minted(
                required(body, "user_id", str),
                3600 if ttl_seconds is None else ttl_seconds,
                kind,
                optional(body, "email", str) or "",
            )
        except ValueError as error:
            raise Problem(400, "bad_token", str(error)) from None
        return web.json_response({"token": token, "expires": expires}, status=201)
