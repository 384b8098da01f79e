"""The part of the toy gateway that finds tokens, and asks Auth about them."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, unquote_plus

from tests.mutants.answers import closed

from memmie_harness.conformance.peers import Head, parse_head

CACHE_SECONDS = 60.0
REFUSAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Auth says about a token: 200 and a user, or the status for the client."""

    status: int
    user: str = ""
    expires: float | None = None
    token: str = ""


class Verdicts:
    """Finds tokens, and knows what Auth has said about them.

    Args:
        auth: the address of Auth.
    """

    def __init__(self, auth: SplitResult) -> None:
        self.auth = auth
        self._verdicts: dict[str, tuple[float, Verdict]] = {}
        self._asking: dict[str, asyncio.Task[Verdict]] = {}

    def find_token(self, head: Head) -> str | None:
        """Return the token of a handshake (spec §1)."""
        values = [value for name, value in head.fields if name == "authorization"]
        if values:
            scheme, _, token = values[0].partition(" ")
            return token.strip() if scheme.lower() == "bearer" and " " not in token.strip() else None
        offered = [part.strip() for part in head.get("sec-websocket-protocol").split(",")]
        if len(offered) > 1 and offered[0] == "bearer":
            return offered[1]
        for field in head.target.partition("?")[2].split("&"):
            name, _, value = field.partition("=")
            if unquote_plus(name) == "token":
                return value
        return None

    async def verdict(self, token: str) -> Verdict:
        """Return what Auth says, or said a short time ago."""
        until, known = self._verdicts.get(token, (0.0, Verdict(500)))
        if time.monotonic() < until:
            return known
        task = self._asking.get(token)
        if task is None:
            task = self._asking[token] = asyncio.create_task(self.ask(token))
            task.add_done_callback(lambda _: self._asking.pop(token, None))
        verdict = replace(await asyncio.shield(task), token=token)
        self._verdicts[token] = (time.monotonic() + self.cache_seconds(verdict), verdict)
        return verdict

    def cache_seconds(self, verdict: Verdict) -> float:
        """Return for how long an answer is used again: at most as long as its token is valid."""
        left = verdict.expires - time.time() if verdict.expires is not None else CACHE_SECONDS
        return {200: min(CACHE_SECONDS, left), 401: REFUSAL_SECONDS}.get(verdict.status, 0.0)

    async def ask(self, token: str) -> Verdict:
        """Ask Auth about a token (spec §2)."""
        body = json.dumps({"token": token}).encode()
        request = (
            f"POST /api/v1/auth/validate HTTP/1.1\r\nHost: {self.auth.netloc}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(self.auth.hostname, self.auth.port)
                try:
                    writer.write(request.encode() + body)
                    head = parse_head(await reader.readuntil(b"\r\n\r\n"))
                    answer = await reader.readexactly(int(head.get("content-length") or "0"))
                finally:
                    await closed(writer)
            return self.read_verdict(head.status, answer)
        except (OSError, EOFError, ValueError, IndexError, TimeoutError):
            return Verdict(503)

    def read_verdict(self, status: int, body: bytes) -> Verdict:
        """Return the meaning of an answer of Auth."""
        if status == 401:
            return Verdict(401)
        if status != 200:
            return Verdict(503)
        content = json.loads(body)
        if not isinstance(content, dict):
            return Verdict(503)
        if content.get("valid") is False:
            return Verdict(401)
        user = content.get("user_id")
        usable = isinstance(user, str) and user and not re.search(r"[\x00-\x1f\x7f]", user)
        if content.get("valid") is not True or not usable:
            return Verdict(502)
        return Verdict(200, str(user), content.get("expires"))
