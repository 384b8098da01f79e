"""The settings and addresses that connect a gateway with an Auth and Studios, all on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

LOOPBACK: Final = "127.0.0.1"
"""The address on which everything listens that the harness starts."""

WS_PATH: Final = "/ws"
"""The path of the WebSocket route (spec §1); other gateways may have another one."""

FOR_TESTS: Final = {
    "DRAIN_SECONDS": "0.2",  # a teardown need not wait: the test has closed its own clients
    "LOG_FORMAT": "json",  # `Target.logs` reads JSON
    "METRICS_CACHE_SECONDS": "0",  # a test reads what has just happened
}
"""Settings in which the gateway of a test differs from the defaults; none changes a behaviour that is tested."""


def gateway_environment(
    *,
    auth_url: str,
    studio_ws_urls: Iterable[str],
    port: int = 0,
    extra: Mapping[str, object] | None = None,
) -> dict[str, str]:
    """Return the environment (spec §7) of a gateway on loopback.

    Args:
        auth_url: the address of Auth, `http://HOST:PORT`.
        studio_ws_urls: the WebSocket address of each Studio, `ws://HOST:PORT/ws`.
        port: the port the gateway listens on; 0 takes a free one.
        extra: more settings, which override these; values are converted by `str`.
    """
    return {
        "HOST": LOOPBACK,
        "PORT": str(port),
        "AUTH_URL": auth_url,
        "STUDIO_WS_URLS": ",".join(studio_ws_urls),
        **{name: str(value) for name, value in (extra or {}).items()},
    }


def websocket_url(url: str, path: str = WS_PATH) -> str:
    """Return the address of the WebSocket route of a gateway with the HTTP address `url`.

    >>> websocket_url("http://127.0.0.1:8000")
    'ws://127.0.0.1:8000/ws'
    """
    return "ws" + url.removeprefix("http") + path
