"""Tokens from a fake Auth that runs elsewhere, through its control API."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

ANSWER_SECONDS = 5.0
"""How long the Auth may take."""


class MintError(Exception):
    """The Auth did not mint a token; says why."""


def mint_token(auth_url: str, user_id: str, ttl_seconds: float = 3600) -> str:
    """Ask the fake Auth at `auth_url` for a user's token (``POST /_control/tokens``).

    Blocking, as the tests' token factory is a plain function and the Auth another process.

    Raises:
        MintError: The Auth did not answer, or not with a token.
    """
    parts = urlsplit(auth_url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    body = json.dumps({"user_id": user_id, "ttl_seconds": ttl_seconds})
    try:
        connection.request("POST", "/_control/tokens", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
    except (OSError, HTTPException) as error:
        raise MintError(f"the Auth at {auth_url} did not answer: {error}") from error
    finally:
        connection.close()
    if response.status != 201:
        raise MintError(
            f"the Auth at {auth_url} answered {response.status} instead of a token: is it a fake Auth?"
        )
    try:
        return str(json.loads(answer)["token"])
    except (ValueError, LookupError, TypeError):
        raise MintError(f"the Auth at {auth_url} answered 201 without a token") from None
