"""The log lines about refused clients: a limited number for each address."""

from __future__ import annotations

import asyncio
from typing import Final

from structlog.typing import FilteringBoundLogger

from memmie_gateway.core.http.client_address import limit_key
from memmie_gateway.core.line_quota import LineQuota
from memmie_gateway.net.ingress.listener import Refusal

LINES_PER_SECOND: Final = 10
"""Number of refusals of one address that have a line each; one more line in each second stands for all others."""


class RefusalLog:
    """Writes the `refused` lines.

    Args:
        log: the logger.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._quota: LineQuota[Refusal] = LineQuota(LINES_PER_SECOND)
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<RefusalLog {self._quota!r}>"

    def add(self, refusal: Refusal) -> None:
        """Write a line about a refusal, now or at the end of the second."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(1, self.flush)
        if self._quota.admits(limit_key(refusal.address), refusal):
            self._write(refusal, 1)

    def flush(self) -> None:
        """Write the lines that stand for several refusals."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for refusal, count in self._quota.end_window():
            self._write(refusal, count)

    def _write(self, refusal: Refusal, count: int) -> None:
        """Write a line; the query is not logged, because it may hold the token."""
        error = refusal.error
        self._log.info(
            "refused",
            request_id=refusal.request_id,
            user_id=refusal.user_id or None,
            address=refusal.address,
            path=refusal.path or None,
            backend=refusal.backend or None,
            by=error.cause.by,
            cause=error.cause.ending.code,
            status=error.status,
            code=refusal.close_code,
            detail=str(error),
            count=count,
        )
