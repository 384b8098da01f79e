"""Calling the control API (`/_control/…`) of a fake that runs elsewhere."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

ANSWER_SECONDS: Final = 5.0
"""How long a fake may take to answer."""


class NoAnswerError(Exception):
    """The fake could not be reached or did not answer in time."""


def call(url: str, method: str, route: str, body: object = None) -> tuple[int, bytes]:
    """Call `/_control/{route}`, and block until the answer is there.

    Args:
        url: the fake's address, `http://HOST:PORT`.
        method: the HTTP method.
        route: the path after `/_control/`, with its query.
        body: sent as JSON; `None` sends no body.

    Returns:
        the status and the body of the answer.

    Raises:
        NoAnswerError: no answer came within `ANSWER_SECONDS`.
    """
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    content = None if body is None else json.dumps(body)
    try:
        connection.request(method, f"/_control/{route}", content, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException) as error:
        raise NoAnswerError(str(error)) from error
    finally:
        connection.close()
