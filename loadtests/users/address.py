"""Where a user connects to, and what its handshake carries."""

from __future__ import annotations

from urllib.parse import quote

from loadtests.stack.system import System
from loadtests.users.tokens import Tokens


def gateway_address(url: str, tokens: Tokens, account: int) -> tuple[str, dict[str, str]]:
    """Return a gateway's address, and the headers with the account's token."""
    return url, {"Authorization": f"Bearer {tokens.of(account)}"}


def studio_address(system: System, tokens: Tokens, account: int) -> tuple[str, dict[str, str]]:
    """Return a Studio's address for the account, and the headers that name its user, as a gateway would."""
    user_id = tokens.user_id(account)
    studio = system.studios[account % len(system.studios)]
    return f"{studio}?user_id={quote(user_id, safe='')}", {"X-User-ID": user_id}
