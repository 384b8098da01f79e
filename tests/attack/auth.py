"""A fake Auth that knows a user by the token `user.NAME.ANYTHING`, and fails on tokens as their first word says.

So hostile clients, which run in another process, can make any number of good, bad and poisoned tokens.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from aiohttp import web

from memmie_fake_auth import FakeAuth
from memmie_fake_base import cli
from memmie_fake_base.credentials import bearer_token
from memmie_fake_base.faults import Error, Garbage, Hang, RequestFault, Reset

POISON: Final[Mapping[str, RequestFault]] = {
    "error": Error(),
    "garbage": Garbage(),
    "hang": Hang(),
    "html": Error(status=200, body="<html>", content_type="text/html"),
    "long": Error(status=200, body=json.dumps({"valid": True, "user_id": "x" * 1100})),
    "moved": Error(status=302, body=""),
    "number": Error(status=200, body=json.dumps({"valid": True, "user_id": 42})),
    "reset": Reset(),
}
"""What happens to a question about a token with this first word."""


def token_of(user: str, number: int = 1) -> str:
    """Return a valid token of a user; each number is another token."""
    return f"user.{user}.{number}"


@dataclass(frozen=True)
class ByToken(RequestFault):
    """Answers as the token says; the fake refuses all other tokens with 401."""

    name: ClassVar[str] = "by_token"

    async def strike(self, request: web.Request) -> web.StreamResponse | None:
        kind, _, rest = (bearer_token(request) or "").partition(".")
        if kind == "user":
            return web.json_response({"valid": True, "user_id": rest.partition(".")[0], "expires": None})
        return await POISON[kind].strike(request) if kind in POISON else None


def main() -> None:
    """Serve on a free port: `python -m tests.attack.auth`."""
    auth = FakeAuth()
    auth.script(ByToken(), route="*/validate")
    asyncio.run(cli._serve(auth))


if __name__ == "__main__":
    main()
