"""Tokens for users: minted by a fake Auth, or read from a file. Never printed, logged or recorded."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from gevent.pool import Pool

from memmie_harness.tokens import MintError, mint_token

TTL_SECONDS: Final = 24 * 3600
"""Longer than any run."""

MINTED_AT_ONCE: Final = 8


class TokensError(Exception):
    """There are no tokens to be had; says why, and which option that is."""


class Tokens:
    """One token a user, by the user's number; users beyond the last begin again with the first.

    Args:
        tokens: at least one.
        users: whose each is; empty where that is not known.
    """

    def __init__(self, tokens: Sequence[str], users: Sequence[str] = ()) -> None:
        self._tokens = tuple(tokens)
        self._users = tuple(users)

    def __len__(self) -> int:
        return len(self._tokens)

    def __repr__(self) -> str:
        """Leave them out."""
        return f"<Tokens of {len(self)} users>"

    def of(self, number: int) -> str:
        """Return the token of a user."""
        return self._tokens[number % len(self)]

    def user_id(self, number: int) -> str:
        """Return whose token that is, or a made-up name where that is not known."""
        return self._users[number % len(self)] if self._users else f"load-{number}"


def mint(auth_url: str, users: int) -> Tokens:
    """Have the fake Auth mint a token for each of so many users.

    The users are new in every run: what a gateway holds against those of the last, as a message rate that they
    have overdrawn, is not for these.

    Raises:
        TokensError: it does not.
    """
    crowd = secrets.token_hex(4)
    names = [f"load-{crowd}-{number}" for number in range(users)]
    try:
        first = mint_token(auth_url, names[0], TTL_SECONDS)  # where none can be had, this one says so at once
        tokens = [first, *Pool(MINTED_AT_ONCE).map(partial(_minted, auth_url), names[1:])]
        return Tokens([_token(each) for each in tokens], names)
    except MintError as error:
        raise TokensError(f"{error} (--auth-url; for a real Auth give --token-file)") from None


def _minted(auth_url: str, name: str) -> str | MintError:
    """Return the error, too: gevent writes the traceback of one that is raised in a pool."""
    try:
        return mint_token(auth_url, name, TTL_SECONDS)
    except MintError as error:
        return error


def _token(minted: str | MintError) -> str:
    if isinstance(minted, MintError):
        raise minted
    return minted


def read_tokens(path: Path) -> Tokens:
    """Read tokens from a file, one a line.

    Raises:
        TokensError: it cannot be read, or has none.
    """
    try:
        tokens = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except OSError as error:
        raise TokensError(f"{path} cannot be read: {error.strerror} (--token-file)") from None
    except UnicodeDecodeError:
        raise TokensError(f"{path} is no text, tokens one a line are expected (--token-file)") from None
    if not tokens:
        raise TokensError(f"{path} has no token, one a line is expected (--token-file)")
    return Tokens(tokens)
