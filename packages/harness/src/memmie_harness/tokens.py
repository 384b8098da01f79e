"""Minting tokens with a fake Auth that runs elsewhere, by its control API."""

from __future__ import annotations

import json

from memmie_harness.control_api import NoAnswerError, call


class MintError(Exception):
    """The fake Auth did not mint a token; the message says why."""


def mint_token(auth_url: str, user_id: str, ttl_seconds: float = 3600) -> str:
    """Return a valid token of a user (`POST /_control/tokens`).

    The call blocks, because the fixture `memmie_token` is a plain function.

    Args:
        auth_url: the address of the fake Auth.
        user_id: the user.
        ttl_seconds: how long the token is valid.

    Raises:
        MintError: the fake Auth did not answer, or did not answer with a token.
    """
    try:
        status, answer = call(auth_url, "POST", "tokens", {"user_id": user_id, "ttl_seconds": ttl_seconds})
    except NoAnswerError as error:
        raise MintError(f"the Auth at {auth_url} did not answer: {error}") from error
    if status != 201:
        raise MintError(f"the Auth at {auth_url} answered {status} instead of a token. Is it a fake Auth?")
    try:
        return str(json.loads(answer)["token"])
    except (ValueError, LookupError, TypeError):
        raise MintError(f"the Auth at {auth_url} answered 201 without a token") from None
