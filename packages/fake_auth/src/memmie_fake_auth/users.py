"""The registered users."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Final

from memmie_fake_base import BoundedStore
from memmie_fake_base.problems import Problem

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
"""An e-mail address, as far as it is checked."""

_MIN_PASSWORD: Final = 8
"""Characters of the shortest password."""

_SCRYPT_COST: Final = 2**10
"""Too low for a real service; a fake should allow a hundred logins a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A registered user.

    Attributes:
        user_id: the id, a UUID in hex.
        email: the e-mail address.
        username: the display name.
        phone: the phone number, may be empty.
        created: when the user registered, in unix seconds.
        salt: the salt of the password's hash.
        password_hash: the scrypt hash; the password itself is not kept.
    """

    user_id: str
    email: str
    username: str
    phone: str = ""
    created: int = field(default_factory=lambda: int(time.time()))
    salt: bytes = field(repr=False)
    password_hash: bytes = field(repr=False)

    def describe(self) -> dict[str, str | int]:
        """Return the user as JSON, without the password's hash."""
        return {
            "user_id": self.user_id,
            "email": self.email,
            "username": self.username,
            "phone": self.phone,
            "created": self.created,
        }


class Users:
    """The registered users, by id and by e-mail address.

    Args:
        limit: how many users are held.
    """

    def __init__(self, limit: int) -> None:
        self._by_id: BoundedStore[User] = BoundedStore("users", limit)
        self._by_email: dict[str, User] = {}

    async def register(self, *, email: str, password: str, username: str, phone: str) -> User:
        """Add a user.

        Raises:
            Problem: 400, the address or the password is invalid; 409, the address is taken; 507, the limit is reached.
        """
        if not _EMAIL.fullmatch(email):
            raise Problem(400, "bad_field", "email: this is not an address such as name@example.com")
        if len(password) < _MIN_PASSWORD:
            raise Problem(400, "bad_field", f"password: at least {_MIN_PASSWORD} characters are needed")
        salt = secrets.token_bytes(16)
        password_hash = await _hash(password, salt)
        if email.lower() in self._by_email:
            raise Problem(409, "email_taken", "email: a user with this address is registered already")
        user = User(
            user_id=uuid.uuid4().hex,
            email=email,
            username=username,
            phone=phone,
            salt=salt,
            password_hash=password_hash,
        )
        self._by_id[user.user_id] = user
        self._by_email[email.lower()] = user
        return user

    async def log_in(self, email: str, password: str) -> User:
        """Return the user with this address and password.

        Raises:
            Problem: 401, the address or the password is wrong; the answer does not say which.
        """
        user = self._by_email.get(email.lower())
        # An unknown address takes as long as a wrong password, so that timing does not reveal who is registered.
        salt = user.salt if user else b"no such user    "
        given = await _hash(password, salt)
        if user is None or not hmac.compare_digest(given, user.password_hash):
            raise Problem(401, "bad_credentials", "the email address or the password is wrong")
        return user

    def get(self, user_id: str) -> User | None:
        """Return a user by id, or None."""
        return self._by_id.get(user_id)

    def clear(self) -> None:
        """Remove all users."""
        self._by_id.clear()
        self._by_email.clear()


async def _hash(password: str, salt: bytes) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return await asyncio.to_thread(hashlib.scrypt, secret, salt=salt, n=_SCRYPT_COST, r=8, p=1)
