"""Tokens for users: minted by a fake Auth, or read from a file. They are never printed, logged or recorded."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from gevent.pool import Pool

from loadtests.common.errors import UsageError
from memmie_harness.tokens import MintError, mint_token

TTL_SECONDS: Final = 24 * 3600
"""Longer than any run."""

MINTED_AT_ONCE: Final = 8


class Tokens:
    """One token per account, by the account's number; accounts beyond the last begin again with the first.

    Args:
        tokens: at least one.
        users: the user id of each; empty if they are not known.
    """

    def __init__(self, tokens: Sequence[str], users: Sequence[str] = ()) -> None:
        self._tokens = tuple(tokens)
        self._users = tuple(users)

    def __len__(self) -> int:
        return len(self._tokens)

    def __repr__(self) -> str:
        """Leave them out."""
        return f"<{len(self)} tokens>"

    def of(self, account: int) -> str:
        """Return the token of an account."""
        return self._tokens[account % len(self)]

    def user_id(self, account: int) -> str:
        """Return the user id of an account, or a made-up one if it is not known."""
        return self._users[account % len(self)] if self._users else f"load-{account}"

    def share(self, position: int, of: int) -> tuple[list[str], list[str]]:
        """Return every how-manieth token and user id: the part of one of several workers, whose positions count from 0."""
        tokens, users = list(self._tokens[position::of]), list(self._users[position::of])
        return (tokens, users) if tokens else (list(self._tokens), list(self._users))


def mint(auth_url: str, accounts: int) -> Tokens:
    """Have the fake Auth mint a token for each of so many users, whom no other run has.

    What a gateway still holds against the users of an earlier run, such as an overdrawn message rate, must not count.

    Raises:
        UsageError: it does not.
    """
    crowd = secrets.token_hex(4)
    names = [f"load-{crowd}-{number}" for number in range(accounts)]
    try:
        first = mint_token(auth_url, names[0], TTL_SECONDS)  # if none can be minted, this one fails at once
        minted = [first, *Pool(MINTED_AT_ONCE).map(partial(_minted, auth_url), names[1:])]
        return Tokens([_token(each) for each in minted], names)
    except MintError as error:
        raise UsageError(f"{error} (--auth-url; for a real Auth give --token-file)") from None


def _minted(auth_url: str, name: str) -> str | MintError:
    """Return an error instead of raising it: gevent prints the traceback of one that is raised in a pool."""
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
        UsageError: it cannot be read, or has none.
    """
    try:
        tokens = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror} (--token-file)") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file with one token a line (--token-file)") from None
    if not tokens:
        raise UsageError(f"{path} has no token, one a line is expected (--token-file)")
    return Tokens(tokens)
