"""The first connection, before any crowd comes: what is wrong with all of them is wrong with this one, and told at once."""

from __future__ import annotations

from typing import Final

from gevent import Timeout

from loadtests.stack.system import System
from loadtests.users.address import gateway_address, studio_address
from loadtests.users.connection import Connection
from loadtests.users.outcomes import OperationError, RefusedError, UnreachableError
from loadtests.users.tokens import Tokens

ANSWER_SECONDS: Final = 10.0

HINTS: Final = {
    401: "it does not know the token (--auth-url, --token-file)",
    403: "it does not let this address or this user in",
    404: "is that the right path?",
    429: "CONNECT_RATE_PER_IP and CONNECT_BURST_PER_IP must allow a crowd from one address",
}
"""What the status of a refusal may come from."""


class FirstContactError(Exception):
    """Nobody can connect; says where, and why."""


def try_first(system: System, tokens: Tokens, within: float) -> None:
    """Connect to each gateway and each Studio once, as the first user.

    Args:
        system: who is to answer.
        tokens: the first is used.
        within: seconds that an answer may take, at most `ANSWER_SECONDS`.

    Raises:
        FirstContactError: one of them cannot be connected to.
    """
    patience = min(within, ANSWER_SECONDS)
    for gateway in system.gateways:
        _try(*gateway_address(gateway, tokens, 0), patience, "--gateway", tokens)
    for number, _ in enumerate(system.studios):
        _try(*studio_address(system, tokens, number), patience, "--direct", tokens)


def _try(url: str, headers: dict[str, str], patience: float, option: str, tokens: Tokens) -> None:
    try:
        with Timeout(patience, UnreachableError(f"no answer within {patience:g} s")):
            connection = Connection(url, headers, on_message=_ignore, on_end=_ignore)
    except OperationError as error:
        raise FirstContactError(
            f"{url.partition('?')[0]}: {_words(error).replace(tokens.of(0), '…')} ({option})"
        ) from None
    connection.close()


def _words(error: OperationError) -> str:
    if not isinstance(error, RefusedError):
        return str(error)
    return ": ".join(filter(None, [str(error), error.answer, HINTS.get(error.status)]))


def _ignore(*_: object) -> None:
    """Nothing is asked on it, and its end is ours."""
