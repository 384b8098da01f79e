"""`memmie-gateway healthcheck`: asks the gateway on this machine whether it is ready, or whether it lives.

Containers run it every few seconds for as long as they live. So it imports nothing but the standard library and
reads only the two variables it needs: the gateway that runs has refused bad ones already.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Final

ANSWER_SECONDS: Final = 3.0
"""How long the gateway may take to answer."""

EVERYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not listened on
"""Where to ask a gateway that listens on every address."""


def problem_of(environment: Mapping[str, str], path: str = "/ready") -> str:
    """Return why the gateway with these settings (`HOST`, `PORT`) does not answer 200 to `path`; "" if it does."""
    given = {name.upper(): value for name, value in environment.items()}  # as the gateway reads them
    host, port = given.get("HOST", ""), given.get("PORT") or "8000"
    host = EVERYWHERE.get(host, host)
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"
    try:
        connection = HTTPConnection(host, int(port), timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(1000).decode("utf-8", "replace")
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError) as error:
        return f"{where}: {error}"
    return "" if answer.status == 200 else f"{where} answered {answer.status} {body}"
