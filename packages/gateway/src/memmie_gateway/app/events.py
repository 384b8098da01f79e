"""The events of clients, backends and Auth: log lines, and counters for the metrics."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import Final

from memmie_gateway.app.logs import Log
from memmie_gateway.app.refusal_log import RefusalLog
from memmie_gateway.core.histogram import Histogram
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.routes import METHODS
from memmie_gateway.core.outcomes import CLOSE_CODES, Cause
from memmie_gateway.core.sessions.evictions import Evidence
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.ingress.listener import Refusal
from memmie_gateway.net.proxy.exchange import Exchange
from memmie_gateway.net.sessions.live import Live
from memmie_gateway.net.sessions.session import Session
from memmie_gateway.net.socketio.passed_session import CLOSED, PassedSession

OTHER: Final = "other"
"""The label for values that others can choose and that are not on a list, because each label value costs memory."""

REQUEST_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds in seconds of the buckets of the duration of HTTP requests."""

_ASSUMED: Final = "HEALTH_CHECK is off, so it counts as healthy until connections to it fail"

NO_CODE, NO_CLOSE_FRAME = 1005, 1006
"""What metrics show for a connection that ended without a close code, and for one that did not end in its protocol."""

_STATUSES: Final = frozenset(HTTPStatus) | {Cause.CLIENT_LEFT.ending.status}


class Events:
    """Logs and counts ended sessions, refused clients, and events of backends and Auth.

    A field has the same meaning and type in every line: `cause` is the code of a cause (see `core.outcomes`), `status`
    is the HTTP status, and `code` is the close code, which is null unless a Close frame was sent.

    Args:
        log: the logger.

    Attributes:
        refusal_log: writes the lines about refused clients.
        refusals: number of refused clients, by code of the cause and HTTP status, or `OTHER`.
        closes: number of ended sessions, by close code, or `OTHER`, and by the party that caused the end.
        requests: number of HTTP requests for each route, by method and status, or `OTHER`.
        request_seconds: how long they took, by route.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self.refusal_log = RefusalLog(log)
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.closes: Counter[tuple[str, str]] = Counter()
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.request_seconds: dict[str, Histogram] = {}

    def refused(self, refusal: Refusal) -> None:
        """Log and count a refusal."""
        error = refusal.error
        status = str(error.status) if error.status in _STATUSES else OTHER
        self.refusals[error.cause.ending.code, status] += 1
        self.refusal_log.add(refusal)

    def counted(self, exchange: Exchange) -> None:
        """Count an HTTP request that was forwarded, or refused on the way."""
        method = exchange.arrival.request.method
        status = exchange.status or Cause.CLIENT_LEFT.ending.status
        key = (
            exchange.route.name,
            method if method in METHODS else OTHER,
            str(status) if status in _STATUSES else OTHER,
        )
        self.requests[key] += 1
        histogram = self.request_seconds.get(exchange.route.name)
        if histogram is None:
            histogram = self.request_seconds[exchange.route.name] = Histogram(REQUEST_BOUNDS)
        histogram.add(exchange.seconds)

    def requested(self, exchange: Exchange, error: RefusedError | None) -> None:
        """Log an HTTP request that was answered, also if its answer was cut."""
        request, client = exchange.arrival.request, exchange.client
        cause = error.cause if error is not None else None
        self._log.info(
            "request",
            request_id=exchange.arrival.id,
            user_id=exchange.user_id or None,
            address=exchange.arrival.client.address,
            method=request.method if request.method in METHODS else OTHER,
            path=request.path,
            route=exchange.route.name,
            backend=exchange.backend.name if exchange.backend is not None else None,
            status=exchange.status,
            by=cause.by if cause is not None else None,
            cause=cause.ending.code if cause is not None else None,
            detail=str(error) if error is not None else None,
            seconds=round(exchange.seconds, 3),
            bytes_from_client=client.received if client is not None else 0,
            bytes_to_client=exchange.sent,
            live=exchange.live is not None,
        )

    def dial_failed(self, backend: Backend, request_id: str, words: str) -> None:
        """Log and count a failed connection to a backend."""
        backend.errors["dial_failed"] += 1
        self._log.warning("dial_failed", backend=backend.name, request_id=request_id, detail=words)

    def subprotocol_unselected(self, backend: Backend, request_id: str) -> None:
        """Log that a backend did not select the subprotocol that the client was told; its name may be a secret."""
        self._log.debug(
            "subprotocol_unselected",
            backend=backend.name,
            request_id=request_id,
            detail="Studio did not select the subprotocol that the gateway has selected for first-message auth",
        )

    def health_changed(self, backend: Backend) -> None:
        """Log that a backend became healthy or unhealthy."""
        tracker = backend.tracker
        log = self._log.info if backend.healthy else self._log.warning
        assumed = _ASSUMED if backend.healthy and not backend.checked_at else None
        log(
            "backend_health",
            backend=backend.name,
            state=tracker.state.value,
            checked=backend.checked_at or None,
            detail=tracker.reason or assumed,
        )

    def backend_ejected(self, backend: Backend, share: float, seconds: float) -> None:
        """Log that a backend was ejected, because it broke the connections of this share of its users."""
        self._log.warning(
            "backend_ejected",
            backend=backend.name,
            state="ejected",
            seconds=seconds,
            detail=f"it passes its health checks, but broke the connections of {share:.0%} of its users, "
            f"so it gets no new connections for {seconds:g} seconds",
        )

    def backend_taken_back(self, backend: Backend) -> None:
        """Log that the ejection of a backend is over."""
        self._log.info(
            "backend_ejected",
            backend=backend.name,
            state="returned",
            seconds=None,
            detail="it gets new connections again",
        )

    def name_stale(self, name: str, words: str) -> None:
        """Log that a name cannot be looked up, so that its last addresses stay in use."""
        self._log.warning(
            "name_stale",
            name=name,
            detail=f"its last addresses stay in use, because the look-up failed: {words}",
        )

    def several_addresses(self, name: str, addresses: list[str]) -> None:
        """Log that a name has several addresses, of which only one is used."""
        self._log.warning(
            "several_addresses",
            name=name,
            addresses=addresses,
            detail="a name is one service, so the gateway uses one address until it fails, the lowest first",
        )

    def auth_circuit(self, words: str) -> None:
        """Log that the circuit breaker of Auth opened, with the reason; with empty `words`, that it closed."""
        if words:
            self._log.warning("auth_circuit", state="open", detail=words)
        else:
            self._log.info("auth_circuit", state="closed", detail=None)

    def claims_dropped(self, size: int) -> None:
        """Log that the claims of a token are too large to keep; called only once."""
        self._log.warning(
            "claims_dropped",
            bytes=size,
            detail="the claims that Auth returned are too large, so the gateway keeps none of them",
        )

    def milliseconds(self) -> None:
        """Log that Auth sends the end of tokens in milliseconds; called only once."""
        self._log.warning(
            "expires_in_milliseconds",
            detail="Auth sends `expires` in milliseconds; the gateway expects seconds, and converts it",
        )

    def recheck_doubted(self, refused: int, asked: int) -> None:
        """Log that Auth refuses the tokens of many live connections, so that none of them is closed."""
        self._log.warning(
            "recheck_doubted",
            refused=refused,
            asked=asked,
            detail="Auth refuses the tokens of many users, so the gateway closes no connection because of it",
        )

    def renewed(self, arrival: Arrival, user_id: str, moved: int) -> None:
        """Log that connections of a user were moved to a new token."""
        self._log.info(
            "renewed",
            request_id=arrival.id,
            user_id=user_id,
            address=arrival.client.address,
            moved=moved,
        )

    def would_evict(self, session: Live, evidence: Evidence, cause: Cause) -> None:
        """Log that a session would have been ended, if `EVICTIONS` were `act`."""
        about = session.describe()
        self._log.warning(
            "would_evict",
            request_id=about["request_id"],
            user_id=about["user_id"],
            backend=about["backend"],
            evidence=evidence.value,
            cause=cause.ending.code,
        )

    def ended(self, session: Session) -> None:
        """Log and count the end of a session."""
        closing = session.closing
        assert closing is not None  # noqa: S101 - an ended session has a closing handshake
        assert closing.cause is not None  # noqa: S101 - and a cause
        self._closed(session, closing.cause, closing.code)

    def polled(self, session: PassedSession) -> None:
        """Log and count the end of a connection over long-polling that passes unchanged; it has no Close frame."""
        assert session.closing is not None  # noqa: S101 - it has ended
        code = NO_CODE if session.closing in CLOSED else session.closing.ending.to_client or NO_CLOSE_FRAME
        self._closed(session, session.closing, code)

    def _closed(self, session: Live, cause: Cause, code: int) -> None:
        shown = str(code) if code in CLOSE_CODES else OTHER
        self.closes[shown, cause.by] += 1
        if cause.ending.error:
            session.backend.errors[cause.ending.code] += 1
        self._log.record("closed", session.describe())
