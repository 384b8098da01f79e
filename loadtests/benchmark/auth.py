"""Auth for gateways that ask one: the fake Auth as a process, and a token for each user."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from loadtests.benchmark.processes import serving
from loadtests.common.errors import LoadTestError

TOKEN_SECONDS: Final = 24 * 3600
"""Longer than any benchmark."""


@dataclass(frozen=True, slots=True)
class Auth:
    """A running Auth.

    Attributes:
        url: its base URL.
        pid: its process.
        tokens: valid ones, each of another user.
    """

    url: str
    pid: int
    tokens: list[str]

    def __repr__(self) -> str:
        """Leave out the tokens."""
        return f"<Auth {self.url} tokens={len(self.tokens)}>"


@contextlib.asynccontextmanager
async def running_auth(users: int, *, cores: frozenset[int] | None) -> AsyncIterator[Auth]:
    """Run the fake Auth, with a token for each of so many users.

    Raises:
        LoadTestError: it does not start, or mints no token.
    """
    command = [sys.executable, "-m", "memmie_fake_auth.cli", "serve", "--host", "127.0.0.1", "--port", "0"]
    async with serving("the fake Auth", command, cores=cores) as server:
        tokens = await asyncio.to_thread(_mint, server.port, users)
        yield Auth(f"http://127.0.0.1:{server.port}", server.pid, tokens)


def _mint(port: int, users: int) -> list[str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    tokens = []
    try:
        for number in range(users):
            body = json.dumps({"user_id": f"user-{number}", "ttl_seconds": TOKEN_SECONDS})
            connection.request("POST", "/_control/tokens", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            if response.status != 201:
                raise LoadTestError(f"the fake Auth answered {response.status} when it was asked for a token")
            tokens.append(str(json.loads(answer)["token"]))
    except (OSError, http.client.HTTPException) as error:
        raise LoadTestError(f"the fake Auth gave no token: {error}") from None
    finally:
        connection.close()
    return tokens
