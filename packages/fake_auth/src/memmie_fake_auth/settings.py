"""The settings of a fake Auth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from memmie_fake_base.checks import at_least, more_than_zero, one_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Limits and behaviour of a fake Auth.

    Attributes:
        access_ttl_seconds: how long a token from register, login or refresh is valid.
        refresh_ttl_seconds: how long a refresh token is valid.
        refusal: how `validate` refuses: `status` answers 401, `body` answers 200 with `valid: false` (spec §2 allows both).
        signing_key: an RSA private key in PEM; empty takes one that is made once per process.
        max_users: how many users are held; then `register` is answered with 507.
        max_revocations: how many unexpired revoked tokens are held; then `logout` is answered with 507.
        max_refresh_tokens: how many unexpired refresh tokens are held; then `login` is answered with 507.
        log_entries: how many log entries are kept; older ones are dropped.
        cors_origins: the origins of web pages that may use the HTTP routes, such as `http://localhost:5173`; `*` for all.
        max_body_bytes: the largest request body; a larger one is answered with 413.

    Raises:
        ValueError: a setting is out of range; the message says what is allowed.
    """

    access_ttl_seconds: float = 3600
    refresh_ttl_seconds: float = 30 * 86400
    refusal: Literal["status", "body"] = "status"
    signing_key: str = ""
    max_users: int = 10_000
    max_revocations: int = 10_000
    max_refresh_tokens: int = 20_000
    log_entries: int = 10_000
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 64 * 1024

    def __post_init__(self) -> None:
        more_than_zero("access_ttl_seconds", self.access_ttl_seconds)
        more_than_zero("refresh_ttl_seconds", self.refresh_ttl_seconds)
        one_of("refusal", self.refusal, ("status", "body"))
        at_least("max_body_bytes", self.max_body_bytes, 1024)
