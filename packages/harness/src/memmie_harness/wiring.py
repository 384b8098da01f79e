"""The settings that join a gateway to an Auth and some Studios, all on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOOPBACK = "127.0.0.1"
"""All that the harness starts listens here and nowhere else."""

FOR_TESTS = {
    "DRAIN_SECONDS": "0.2",  # a teardown need not wait for clients to leave: the test has closed its own
    "LOG_FORMAT": "json",  # what `Target.logs` reads
}
"""Where the gateway of a test differs from its defaults: only where no behaviour under test does."""


def gateway_environment(
    *,
    auth_url: str,
    studio_ws_urls: Iterable[str],
    port: int = 0,
    extra: Mapping[str, object] | None = None,
) -> dict[str, str]:
    """The environment (spec §7) of a gateway on loopback.

    Args:
        auth_url: The Auth service, ``http://HOST:PORT``.
        studio_ws_urls: Each Studio's WebSocket address, ``ws://HOST:PORT/ws``.
        port: Where the gateway listens; 0 is any free port.
        extra: More settings, which win over these; values are written as ``str`` writes them.
    """
    return {
        "HOST": LOOPBACK,
        "PORT": str(port),
        "AUTH_URL": auth_url,
        "STUDIO_WS_URLS": ",".join(studio_ws_urls),
        **{name: str(value) for name, value in (extra or {}).items()},
    }
