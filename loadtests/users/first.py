"""The first connection, before the crowd: what is wrong with all connections is wrong with this one, and said at once."""

from __future__ import annotations

from typing import Final

from gevent import Timeout

from loadtests.common.errors import UsageError
from loadtests.common.run import DIRECT, GATEWAY
from loadtests.users.connection import Connection
from loadtests.users.crowd import Crowd
from loadtests.users.outcomes import OperationError, RefusedError, UnreachableError

ANSWER_SECONDS: Final = 10.0

HINTS: Final = {
    401: "it does not know the token (--auth-url, --token-file)",
    403: "it does not admit this address or this user",
    404: "is that the right path?",
    429: "CONNECT_RATE_PER_IP and CONNECT_BURST_PER_IP must allow a crowd from one address",
}
"""What may be the reason for a refusal, by its status."""


def try_first(crowd: Crowd) -> None:
    """Connect to each gateway and each Studio once, as the first user.

    Raises:
        UsageError: one of them cannot be connected to; says where, and why.
    """
    patience = min(crowd.options.within, ANSWER_SECONDS)
    token = crowd.tokens.of(0)
    for gateway in crowd.system.gateways:
        _, headers = crowd.address(GATEWAY, 0)
        _try(gateway, headers, patience, "--gateway", token)
    for number, _ in enumerate(crowd.system.studios):
        _try(*crowd.address(DIRECT, number), patience, "--direct", token)


def _try(url: str, headers: dict[str, str], patience: float, option: str, token: str) -> None:
    try:
        with Timeout(patience, UnreachableError(f"no answer within {patience:g} s")):
            connection = Connection(url, headers, on_message=_ignore, on_end=_ignore)
    except OperationError as error:
        words = [str(error)]
        if isinstance(error, RefusedError):
            words += [error.answer, HINTS.get(error.status, "")]
        told = ": ".join(filter(None, words)).replace(token, "…")
        raise UsageError(f"{url.partition('?')[0]}: {told} ({option})") from None
    connection.close()


def _ignore(*_: object) -> None:
    """Nothing is asked on this connection, and it ends on our side."""
