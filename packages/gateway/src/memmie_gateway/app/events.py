"""What is told of every connection: one log line, and counters for the metrics."""

from __future__ import annotations

import asyncio
from collections import Counter

from structlog.typing import FilteringBoundLogger

from memmie_gateway.core.outcomes import Side
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.ingress.admission import Refusal
from memmie_gateway.net.sessions.session import Session


class Events:
    """Logs and counts how connections end, or why they never began.

    Args:
        log: where the lines go.

    Attributes:
        refusals: clients refused, by `code` of the closing table and HTTP status.
        closes: ended connections, by close code and by who closed.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self.refusals: Counter[tuple[str, int]] = Counter()
        self.closes: Counter[tuple[int, str]] = Counter()

    def refused(self, refusal: Refusal) -> None:
        """Log and count a refusal. The query is not logged: it may hold the token."""
        error = refusal.error
        ending = error.cause.ending
        status = error.answer.status if error.answer is not None else ending.status
        self.refusals[ending.code, status] += 1
        self._log.info(
            "refused",
            request_id=refusal.request_id or None,
            user_id=refusal.user_id or None,
            address=refusal.address,
            path=refusal.path or None,
            backend=refusal.backend or None,
            by=ending.by.value,
            status=status,
            code=ending.code,
            detail=str(error),
        )

    def dial_failed(self, backend: Backend, request_id: str, words: str) -> None:
        """Log and count a Studio that did not accept a connection."""
        backend.errors["dial_failed"] += 1
        self._log.warning("dial_failed", backend=backend.url, request_id=request_id, detail=words)

    def health_changed(self, backend: Backend) -> None:
        """Log a Studio that became healthy or unhealthy."""
        tracker = backend.tracker
        log = self._log.info if backend.healthy else self._log.warning
        log("backend_health", backend=backend.url, state=tracker.state.value, detail=tracker.reason or None)

    def auth_circuit(self, words: str) -> None:
        """Log that Auth is left alone for a while, and why; or, without words, that it answers again."""
        if words:
            self._log.warning("auth_circuit", state="open", detail=words)
        else:
            self._log.info("auth_circuit", state="closed", detail=None)

    def claims_dropped(self, size: int) -> None:
        """Log that Auth returned more claims of a token than are kept; notified once."""
        self._log.warning(
            "claims_dropped", bytes=size, detail="Auth returned too many claims; none of them are kept"
        )

    def ended(self, session: Session) -> None:
        """Log and count the end of a connection."""
        closing, info = session.closing, session.info
        assert closing is not None  # noqa: S101 - an ended session has a closing handshake
        assert closing.cause is not None  # noqa: S101 - and a cause
        ending = closing.cause.ending
        self.closes[closing.code, ending.by.value] += 1
        if ending.error:
            info.backend.errors[ending.code] += 1
        up, down = session.scanner(Side.CLIENT), session.scanner(Side.BACKEND)
        self._log.info(
            "closed",
            request_id=info.id,
            user_id=info.identity.user_id,
            address=info.client.address,
            path=info.path,
            backend=info.backend.url,
            by=ending.by.value,
            cause=ending.code,
            code=closing.code,
            reason=closing.reason or None,
            error=session.error or None,
            seconds=round(asyncio.get_running_loop().time() - session.started, 3),
            messages_from_client=up.messages,
            messages_from_studio=down.messages,
            bytes_from_client=up.received,
            bytes_from_studio=down.received,
        )
