"""What can be set on a fake Auth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Limits and habits of a fake Auth.

    Attributes:
        access_ttl_seconds: how long a token from register, login or refresh is valid.
        refresh_ttl_seconds: how long a refresh token is.
        refusal: how `validate` refuses: `status` answers 401, `body` answers 200 with `valid: false` (spec §2 allows both).
        signing_key: an RSA private key in PEM; empty takes one made once per process.
        max_users: how many users are held before `register` answers 507.
        max_revocations: how many unexpired revoked tokens are held before `logout` answers 507.
        max_refresh_tokens: how many unexpired refresh tokens are held before `login` answers 507.
        log_entries: how many log entries are kept; older ones are forgotten.
        max_body_bytes: the largest request body; a larger one is 413.
    """

    access_ttl_seconds: float = 3600
    refresh_ttl_seconds: float = 30 * 86400
    refusal: Literal["status", "body"] = "status"
    signing_key: str = ""
    max_users: int = 10_000
    max_revocations: int = 10_000
    max_refresh_tokens: int = 20_000
    log_entries: int = 10_000
    max_body_bytes: int = 64 * 1024

    def __post_init__(self) -> None:
        for name in ("access_ttl_seconds", "refresh_ttl_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: {getattr(self, name)} given, more than 0 allowed")
        if self.refusal not in ("status", "body"):
            raise ValueError(f"refusal: {self.refusal!r} given, allowed: status, body")
        if self.max_body_bytes < 1024:
            raise ValueError(f"max_body_bytes: {self.max_body_bytes} given, 1024 or more allowed")
