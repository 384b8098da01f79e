"""The profile of the toy gateway: what it offers in each of its setups."""

from __future__ import annotations

from tests.mutants.backends import EJECTION_USERS
from tests.mutants.toy import MAX_OF_USER, MAX_TOKEN
from tests.mutants.verdicts import CACHE_SECONDS, REFUSAL_SECONDS

from memmie_harness.conformance.offers import OfferValue
from memmie_harness.conformance.profile import Profile, Setup, Start

OFFERS: dict[str, OfferValue] = {
    **dict.fromkeys(
        (
            "auth", "auth_body", "token_header", "closes_at_expiry", "hides_token", "hides_copies",
            "forwards_headers", "forwards_query", "forwards_subprotocols", "forwards_extensions",
            "forwards_refusals", "answers_after_backend", "checks_upgrade", "checks_backend_upgrade",
            "forwarded_for", "replaces_forwarded", "request_id", "keeps_request_id", "keeps_early_bytes", "keeps_frames",
            "inspects_frames", "strict_lengths", "forwards_closes", "waits_for_close", "ends_handshake", "answers_half_closed",
            "drain", "rolling_restart", "log",
        ),
        True,
    ),
    "token_query": "token",
    "token_subprotocol": "bearer",
    "auth_cache_seconds": CACHE_SECONDS,
    "refusal_cache_seconds": REFUSAL_SECONDS,
    "token_bytes": MAX_TOKEN,
    "renew_path": "/token/renew",
    "user_query": "user_id",
    "user_header": "X-User-ID",
    "status_path": "/status",
    "message_bytes": 1 << 20,
    "buffer_bytes": 1 << 20,
    "connections_per_user": MAX_OF_USER,
    "metrics_path": "/metrics",
    "metric_connections": "toy_connections",
    "metric_messages": "toy_messages_total",
    "http_path": "/api",
    "http_auth_path": "/auth",
    "http_any_origin": True,
}  # fmt: skip

MORE: dict[str, dict[str, OfferValue]] = {
    "keepalive": {"ping_seconds": 0.5, "ping_timeout_seconds": 0.5},
    "idle": {"idle_seconds": 0.5},
    "origin": {
        "checks_origin": "https://app.test",
        "http_any_origin": False,
        "http_origin": "https://app.test",
    },
    "first-message": {"first_message_seconds": 0.5},
    "backends": {"studios": 3, "sticky": True, "failover": True, "ejection_users": EJECTION_USERS},
    "tls": {"tls": True},
    "socketio": {"socketio_path": "/socket.io/", "socketio_ping_seconds": 0.5},
    "http": {
        "http_body_bytes": 1 << 16,
        "http_body_seconds": 0.4,
        "http_idle_seconds": 0.6,
        "http_burst_per_user": 10,
        "http_live_seconds": 0.2,
    },
}
"""What further setups offer besides."""


def profile(patience: float) -> Profile:
    """Return the profile.

    Args:
        patience: seconds that the tests wait for something that should come at once.
    """
    start = Start(patience_seconds=patience)
    further = [Setup(name, start, {**OFFERS, **offers}) for name, offers in MORE.items()]
    return Profile("toy", "the gateway of the mutants", [Setup("main", start, OFFERS), *further])
