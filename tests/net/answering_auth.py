"""An Auth that says about each token what a test has noted for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from types import TracebackType
from typing import Any, Self

from tests.net.scripted_auth import ScriptedAuth


class AnsweringAuth:
    """Answers at once.

    Attributes:
        verdicts: the fields of the answer about each token, or a status; an unknown token gets 401.
        status: a status for all answers; 0 for none.
        asked: how often each token was asked about.
    """

    def __init__(self) -> None:
        self._auth = ScriptedAuth()
        self._task: asyncio.Task[None] | None = None
        self.verdicts: dict[str, dict[str, Any] | int] = {}
        self.status = 0
        self.asked: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        await self._auth.__aenter__()
        self._task = asyncio.create_task(self._answer())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._auth.__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        return self._auth.url

    def valid(self, token: str, user: str, **fields: object) -> str:
        """Note that a token is valid; return it."""
        self.verdicts[token] = {"valid": True, "user_id": user, **fields}
        return token

    async def _answer(self) -> None:
        while True:
            question = await self._auth._arrived.get()
            self.asked[question.token] += 1
            verdict = self.status or self.verdicts.get(question.token, 401)
            status, fields = (verdict, {}) if isinstance(verdict, int) else (200, verdict)
            body = json.dumps(fields).encode()
            question.line.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
