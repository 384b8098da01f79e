"""The first connection, before the crowd: what is wrong with all connections is wrong with this one, and said at once."""

from __future__ import annotations

from typing import Final

from gevent import Timeout

from loadtests.common.errors import UsageError
from loadtests.common.run import DIRECT, GATEWAY
from loadtests.stack.system import System
from loadtests.users.connection import Connection
from loadtests.users.crowd import address
from loadtests.users.outcomes import OperationError, RefusedError
from loadtests.users.tokens import Tokens

ANSWER_SECONDS: Final = 10.0

HINTS: Final = {
    401: "it does not know the token (--auth-url, --token-file)",
    403: "it does not admit this address or this user",
    404: "is that the right path?",
    429: "CONNECT_RATE_PER_IP and CONNECT_BURST_PER_IP must allow a crowd from one address",
}
"""What may be the reason for a refusal, by its status."""


def try_first(system: System, tokens: Tokens, within: float) -> None:
    """Connect to each gateway and each Studio once, as the first users.

    Raises:
        UsageError: one of them cannot be connected to within so many seconds; says where, and why.
    """
    tries = [(*address(GATEWAY, 0, system, tokens, gateway=url), "--gateway") for url in system.gateways]
    for number, _ in enumerate(system.studios):
        tries.append((*address(DIRECT, number, system, tokens, gateway=""), "--direct"))
    patience = min(within, ANSWER_SECONDS)
    for url, headers, option in tries:
        try:
            with Timeout(patience, OperationError(f"no answer within {patience:g} s")):
                connection = Connection(url, headers, on_message=_ignore, on_end=_ignore)
        except OperationError as error:
            words = [str(error)]
            if isinstance(error, RefusedError):
                words += [error.answer, HINTS.get(error.status, "")]
            told = ": ".join(filter(None, words)).replace(tokens.of(0), "…")
            raise UsageError(f"{url.partition('?')[0]}: {told} ({option})") from None
        connection.close()


def _ignore(*_: object) -> None:
    """Nothing is asked on this connection, and it ends on our side."""
