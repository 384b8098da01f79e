"""Tokens for users, minted by a fake Auth or read from a file, and the addresses where a user connects with one.

Tokens are never printed, logged or recorded.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gevent import Timeout

from loadtests.common.errors import UsageError
from loadtests.common.run import DIRECT, GATEWAY
from loadtests.common.run import Path as Way
from loadtests.stack import System
from loadtests.users.connection import Connection, OperationError
from memmie_harness.tokens import MintError, mint_token

TTL_SECONDS: Final = 24 * 3600
"""Longer than any run."""

ANSWER_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """One token per account, by the account's number; accounts beyond the last begin again with the first."""

    tokens: Sequence[str] = field(repr=False)  # at least one
    users: Sequence[str] = ()  # the user id of each; empty if they are not known

    def of(self, account: int) -> str:
        """Return the token of an account."""
        return self.tokens[account % len(self.tokens)]

    def user_id(self, account: int) -> str:
        """Return the user id of an account, or a made-up one if it is not known."""
        return self.users[account % len(self.users)] if self.users else f"load-{account}"

    def share(self, position: int, workers: int) -> list[Sequence[str]]:
        """Return the tokens and the user ids of one of several workers; all of them if there are fewer than workers."""
        few = len(self.tokens) < workers
        return [each if few else each[position::workers] for each in (self.tokens, self.users)]


def mint(auth_url: str, accounts: int) -> Tokens:
    """Have the fake Auth mint a token for each of so many users, whom no other run has.

    What a gateway still holds against the users of an earlier run, such as an overdrawn message rate, must not count.
    """
    crowd = secrets.token_hex(4)
    names = [f"load-{crowd}-{number}" for number in range(accounts)]
    try:
        return Tokens([mint_token(auth_url, name, TTL_SECONDS) for name in names], names)
    except MintError as error:
        raise UsageError(f"{error} (--auth-url; for a real Auth give --token-file)") from None


def read_tokens(path: Path) -> Tokens:
    """Read tokens from a file, one a line."""
    try:
        tokens = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the tokens cannot be read: {error} (--token-file)") from None
    if not tokens:
        raise UsageError(f"{path} has no token, one a line is expected (--token-file)")
    return Tokens(tokens)


def address(
    path: Way, account: int, system: System, tokens: Tokens, *, gateway: str
) -> tuple[str, dict[str, str]]:
    """Return where an account connects to, and the headers of its handshake.

    Through the gateway that is the token; straight to a Studio it is what a gateway would tell about the user.
    """
    if path == GATEWAY:
        return gateway, {"Authorization": f"Bearer {tokens.of(account)}"}
    user_id = tokens.user_id(account)
    studio = system.studios[account % len(system.studios)]
    return f"{studio}?user_id={quote(user_id, safe='')}", {"X-User-ID": user_id}


def try_first(system: System, tokens: Tokens, within: float) -> None:
    """Connect to each gateway and each Studio once: what is wrong with all connections is wrong with these."""
    tries = [(*address(GATEWAY, 0, system, tokens, gateway=url), "--gateway") for url in system.gateways]
    studios = range(len(system.studios))
    tries += [(*address(DIRECT, number, system, tokens, gateway=""), "--direct") for number in studios]
    patience = min(within, ANSWER_SECONDS)
    for url, headers, option in tries:
        try:
            with Timeout(patience, OperationError(f"no answer within {patience:g} s")):
                connection = Connection(url, headers)
        except OperationError as error:
            told = ": ".join(filter(None, [str(error), error.answer])).replace(tokens.of(0), "…")
            raise UsageError(f"{url.partition('?')[0]}: {told} ({option})") from None
        connection.close()
