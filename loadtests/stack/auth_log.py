"""What the fake Auth was asked, from its control API."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from loadtests.users.swarm import SwarmError

ANSWER_SECONDS: Final = 30.0
"""A log of many thousand entries takes a moment."""


def questions(auth_url: str) -> int:
    """Return how often the fake Auth was asked whether a token is valid, since it was started.

    Raises:
        SwarmError: it does not tell, or has forgotten some.
    """
    query = "kind=request&path=/api/v1/auth/validate"
    try:
        with urlopen(f"{auth_url}/_control/log?{query}", timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - http only
            log = json.load(answer)
        forgotten, entries = int(log["forgotten"]), len(log["entries"])
    except (URLError, HTTPException, OSError, ValueError, KeyError, TypeError) as error:
        raise SwarmError(f"{auth_url} does not tell what it was asked: {error} (--auth-url)") from None
    if forgotten:
        raise SwarmError(
            f"{auth_url} has forgotten {forgotten} requests: start it with a larger --log-entries"
        )
    return entries
