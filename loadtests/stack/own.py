"""Start a stack for the length of a run: fake Auth, fake Studios and gateways, each a process of its own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from loadtests.common.errors import LoadTestError
from loadtests.common.machine import Cores, pinned
from loadtests.common.supervisor import serving
from loadtests.stack.system import Plan, System
from memmie_harness.wiring import gateway_environment

STUDIOS: Final = 2

FAR_ABOVE: Final = 1_000_000
"""A limit that is counted all the same, and never reached."""

AUTH_LOG_ENTRIES: Final = 200_000
"""Every question to Auth is counted afterwards, so Auth must not forget any."""


@contextlib.contextmanager
def own_stack(plan: Plan) -> Iterator[System]:
    """Run Auth, Studios and gateways on free ports of 127.0.0.1 for the length of the block.

    Raises:
        LoadTestError: something did not start; says what and why.
    """
    cores = Cores.share_out() if plan.pinned else Cores(None, None)
    with ExitStack() as stack:
        try:
            system = _start(plan, cores, stack)
        except LoadTestError as error:
            raise LoadTestError(f"the stack does not start: {error}") from error
        stack.enter_context(pinned(cores.load))
        yield system


def _start(plan: Plan, cores: Cores, stack: ExitStack) -> System:
    def fake(name: str, module: str, *options: str) -> tuple[int, int]:
        command = [sys.executable, "-m", module, "serve", "--host", "127.0.0.1", "--port", "0", *options]
        server = stack.enter_context(serving(name, command, cores=cores.load))
        return server.port, server.pid

    auth, _ = fake("the fake Auth", "memmie_fake_auth.cli", "--log-entries", str(AUTH_LOG_ENTRIES))
    studios = [
        fake(f"fake Studio {number}", "memmie_fake_studio.cli", "--no-log-messages")
        for number in range(1, STUDIOS + 1)
    ]
    auth_url = f"http://127.0.0.1:{auth}"
    studio_urls = tuple(f"ws://127.0.0.1:{port}/ws" for port, _ in studios)
    environment = gateway_environment(
        auth_url=auth_url, studio_ws_urls=studio_urls, extra={**_unlimited(plan.connections), **plan.settings}
    )
    command = [sys.executable, "-m", "memmie_gateway", "serve"]
    gateways = [
        stack.enter_context(
            serving(f"gateway {number}", command, cores=cores.gateway, environment=environment)
        )
        for number in range(1, plan.gateways + 1)
    ]
    return System(
        gateways=tuple(f"ws://127.0.0.1:{gateway.port}/ws" for gateway in gateways),
        gateway_pids=tuple(gateway.pid for gateway in gateways),
        studios=studio_urls,
        studio_pids=tuple(pid for _, pid in studios),
        auth_url=auth_url,
    )


def _unlimited(connections: int) -> dict[str, object]:
    """Return settings with every limit on and none of them reached, though the whole load comes from one address."""
    return {
        "LOG_FORMAT": "json",
        "MAX_CONNECTIONS": 2 * connections + 100,
        "MAX_CONNECTIONS_PER_IP": 2 * connections + 100,
        "MAX_CONNECTIONS_PER_USER": 2 * connections + 100,
        "CONNECT_RATE_PER_IP": FAR_ABOVE,
        "CONNECT_BURST_PER_IP": FAR_ABOVE,
        "MESSAGE_RATE_PER_USER": FAR_ABOVE,
        "MESSAGE_BURST_PER_USER": FAR_ABOVE,
        "AUTH_CACHE_SECONDS": 3600,
        "AUTH_CACHE_SIZE": 2 * connections + 100,
        "DRAIN_SECONDS": 0,
    }
