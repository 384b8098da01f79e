"""`memmie-gateway healthcheck`: check whether the gateway on this machine is ready, or alive.

Containers run this every few seconds, so it imports the standard library only. It reads only the two variables
that it needs, because the running gateway has already validated all settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Final

from memmie_gateway.app.environment import variables

ANSWER_SECONDS: Final = 3.0
"""Maximum time in seconds until the gateway answers."""

EVERYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not listened on
"""The address for the request if the gateway listens on every address."""


def problem_of(environment: Mapping[str, str], path: str = "/ready") -> str:
    """Send `GET path` to the gateway on this machine.

    Args:
        environment: The settings of the gateway; `HOST` and `PORT` are used.
        path: The path of the request.

    Returns:
        "" if the status is 200, otherwise one line for people that says what happened.
    """
    given = variables(environment)
    host, port = given.get("HOST", ""), given.get("PORT") or "8000"
    host = EVERYWHERE.get(host, host)
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"
    if not port.isdecimal():
        return f"PORT={port!r}: must be a whole number"
    try:
        connection = HTTPConnection(host, int(port), timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(1000).decode("utf-8", "replace")
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError) as error:
        words = (isinstance(error, OSError) and error.strerror) or error
        return f"no answer from {where}: {words}"
    return "" if answer.status == 200 else f"{where} answered {answer.status}: {body}"
