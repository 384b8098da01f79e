"""What a gateway tells about itself at /metrics (spec §6)."""

from __future__ import annotations

from http.client import HTTPException
from typing import Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

ANSWER_SECONDS: Final = 5.0

CONNECTIONS: Final = "gateway_websocket_connections"


def http_url(websocket_url: str) -> str:
    """Return the HTTP address of the server at a WebSocket address, without a path.

    >>> http_url("wss://gateway.example:8443/ws")
    'https://gateway.example:8443'
    """
    parts = urlsplit(websocket_url)
    return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"


def studio_connections(gateway_url: str) -> dict[str, int]:
    """Return how many connections each Studio has, by host and port; nothing where the gateway does not tell."""
    try:
        with urlopen(f"{http_url(gateway_url)}/metrics", timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - from http_url
            text = answer.read().decode()
        return {
            urlsplit(sample.labels["backend"]).netloc: int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == CONNECTIONS and "backend" in sample.labels
        }
    except (URLError, HTTPException, OSError, ValueError):
        return {}
