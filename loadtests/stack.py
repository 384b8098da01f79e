"""The system that a scenario loads: how to start one of our own, and what a gateway and a fake Auth tell about themselves."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from loadtests.common.errors import LoadTestError
from loadtests.common.machine import Cores, pinned
from loadtests.common.supervisor import Server, serving
from memmie_harness.wiring import gateway_environment

STUDIOS: Final = 2

FAR_ABOVE: Final = 1_000_000
"""A limit that is counted all the same, and never reached."""

AUTH_LOG_ENTRIES: Final = 200_000
"""Every question to Auth is counted afterwards, so Auth must not forget any."""

METRICS_SECONDS: Final = 5.0
AUTH_SECONDS: Final = 30.0
"""How long an answer may take; Auth's log of many thousand entries takes a moment."""


@dataclass(frozen=True, slots=True)
class System:
    """A gateway with what stands behind it; process ids are missing if the processes cannot be seen from here."""

    gateways: Sequence[str]  # WebSocket addresses; the first is loaded, a second one takes over in `drain`
    gateway_pids: Sequence[int] = ()
    studios: Sequence[str] = ()  # WebSocket addresses, for messages that go there directly
    studio_pids: Sequence[int] = ()
    auth_url: str = ""  # of a fake Auth, which mints the tokens; empty if they come from a file


@contextlib.contextmanager
def own_stack(
    connections: int,
    *,
    gateways: int = 1,
    pinned_gateways: bool = True,
    settings: Mapping[str, object] | None = None,
) -> Iterator[System]:
    """Run Auth, Studios and gateways, each a process, on free ports of 127.0.0.1 for the length of the block.

    The settings (spec §7) are for the gateways, which otherwise have limits that so many connections never reach.
    """
    cores = Cores.share_out() if pinned_gateways else Cores(None, None)
    with ExitStack() as stack:

        def server(name: str, *command: str, settings: Mapping[str, str] | None = None) -> Server:
            on = cores.load if settings is None else cores.gateway
            command = (sys.executable, "-m", *command)
            return stack.enter_context(serving(name, command, cores=on, environment=settings))

        anywhere = ("serve", "--host", "127.0.0.1", "--port", "0")
        logged = ("--log-entries", str(AUTH_LOG_ENTRIES))
        auth = server("the fake Auth", "memmie_fake_auth.cli", *anywhere, *logged)
        studios = [
            server(f"fake Studio {number}", "memmie_fake_studio.cli", *anywhere, "--no-log-messages")
            for number in range(1, STUDIOS + 1)
        ]
        auth_url = f"http://127.0.0.1:{auth.port}"
        studio_urls = [f"ws://127.0.0.1:{studio.port}/ws" for studio in studios]
        extra = {**_unlimited(connections), **(settings or {})}
        environment = gateway_environment(auth_url=auth_url, studio_ws_urls=studio_urls, extra=extra)
        started = [
            server(f"gateway {number}", "memmie_gateway", "serve", settings=environment)
            for number in range(1, gateways + 1)
        ]
        stack.enter_context(pinned(cores.load))
        urls = [f"ws://127.0.0.1:{gateway.port}/ws" for gateway in started]
        gateway_pids, studio_pids = ([each.pid for each in kind] for kind in (started, studios))
        yield System(urls, gateway_pids, studio_urls, studio_pids, auth_url)


def _unlimited(connections: int) -> dict[str, object]:
    """Return settings with every limit on and none of them reached, though the whole load comes from one address."""
    return {
        "LOG_FORMAT": "json",
        "MAX_CONNECTIONS": 2 * connections + 100,
        "MAX_CONNECTIONS_PER_IP": 2 * connections + 100,
        "MAX_CONNECTIONS_PER_USER": 2 * connections + 100,
        "CONNECT_RATE_PER_IP": FAR_ABOVE,
        "CONNECT_BURST_PER_IP": FAR_ABOVE,
        "METRICS_CACHE_SECONDS": 0,
        "MESSAGE_RATE_PER_USER": FAR_ABOVE,
        "MESSAGE_BURST_PER_USER": FAR_ABOVE,
        "AUTH_CACHE_SECONDS": 3600,
        "AUTH_CACHE_SIZE": 2 * connections + 100,
        "DRAIN_SECONDS": 0,
    }


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
            if sample.name == "gateway_websocket_connections" and "backend" in sample.labels
        }
    except (HTTPException, OSError, ValueError):
        return {}


def auth_questions(auth_url: str) -> int:
    """Return how often the fake Auth was asked whether a token is valid, since it was started; 0 without an address."""
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
        words = f"has forgotten {forgotten} requests: start it with a larger --log-entries"
        raise LoadTestError(f"{auth_url} {words}")
    return entries
