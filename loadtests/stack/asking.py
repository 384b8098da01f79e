"""What a gateway and a fake Auth tell about themselves over HTTP."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from loadtests.common.errors import LoadTestError

METRICS_SECONDS: Final = 5.0
AUTH_SECONDS: Final = 30.0
"""How long an answer may take; Auth's log of many thousand entries takes a moment."""

CONNECTIONS: Final = "gateway_websocket_connections"


def studio_connections(gateway_url: str) -> dict[str, int]:
    """Return how many connections each Studio has, by host and port; nothing if the gateway does not tell (spec §6)."""
    parts = urlsplit(gateway_url)
    scheme = "https" if parts.scheme == "wss" else "http"
    try:
        with urlopen(f"{scheme}://{parts.netloc}/metrics", timeout=METRICS_SECONDS) as answer:  # noqa: S310 - HTTP only
            text = answer.read().decode()
        return {
            urlsplit(sample.labels["backend"]).netloc: int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == CONNECTIONS and "backend" in sample.labels
        }
    except (HTTPException, OSError, ValueError):
        return {}


def auth_questions(auth_url: str) -> int:
    """Return how often the fake Auth was asked whether a token is valid, since it was started; 0 without an address.

    Raises:
        LoadTestError: it does not tell, or has forgotten some.
    """
    if not auth_url:
        return 0
    query = "kind=request&path=/api/v1/auth/validate"
    try:
        with urlopen(f"{auth_url}/_control/log?{query}", timeout=AUTH_SECONDS) as answer:  # noqa: S310 - HTTP only
            log = json.load(answer)
        forgotten, entries = int(log["forgotten"]), len(log["entries"])
    except (HTTPException, OSError, ValueError, KeyError, TypeError) as error:
        raise LoadTestError(f"{auth_url} does not tell what it was asked: {error} (--auth-url)") from None
    if forgotten:
        raise LoadTestError(
            f"{auth_url} has forgotten {forgotten} requests: start it with a larger --log-entries"
        )
    return entries
