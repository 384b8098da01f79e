"""A stack for the load scenarios: fake Auth, fake Studios and gateways, each a process of its own.

Started by `own.py`: the plan is the first line of standard input, the system the only line of standard output.
The stack ends when standard input does, so it never outlives the one who asked for it.
"""

from __future__ import annotations

import json
import signal
import sys
from contextlib import ExitStack
from typing import Final

from loadtests.common.errors import LoadTestError
from loadtests.common.machine import Cores
from loadtests.common.supervisor import serving
from loadtests.stack.system import Plan, System
from memmie_harness.wiring import gateway_environment

FAR_ABOVE: Final = 1_000_000
"""A limit that is counted all the same, and never reached."""

AUTH_LOG_ENTRIES: Final = 200_000
"""Every question to Auth is counted afterwards: none may have been forgotten."""


def start(plan: Plan, cores: Cores, stack: ExitStack) -> System:
    """Start what the plan says; it ends with `stack`.

    Raises:
        LoadTestError: something does not start.
    """
    auth = stack.enter_context(
        serving(
            "the fake Auth",
            [*_module("memmie_fake_auth.cli"), "--log-entries", str(AUTH_LOG_ENTRIES)],
            cores=cores.load,
        )
    )
    studios = [
        stack.enter_context(
            serving(
                f"fake Studio {number}",
                [*_module("memmie_fake_studio.cli"), "--no-log-messages"],
                cores=cores.load,
            )
        )
        for number in range(1, plan.studios + 1)
    ]
    auth_url = f"http://127.0.0.1:{auth.port}"
    studio_urls = [f"ws://127.0.0.1:{studio.port}/ws" for studio in studios]
    environment = gateway_environment(
        auth_url=auth_url,
        studio_ws_urls=studio_urls,
        extra={**_unbound(plan.connections), **(plan.settings or {})},
    )
    gateways = [
        stack.enter_context(
            serving(
                f"gateway {number}",
                [sys.executable, "-m", "memmie_gateway", "serve"],
                cores=cores.gateway,
                environment=environment,
            )
        )
        for number in range(1, plan.gateways + 1)
    ]
    return System(
        gateways=tuple(f"ws://127.0.0.1:{gateway.port}/ws" for gateway in gateways),
        gateway_pids=tuple(gateway.pid for gateway in gateways),
        studios=tuple(studio_urls),
        studio_pids=tuple(studio.pid for studio in studios),
        auth_url=auth_url,
    )


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name, "serve", "--host", "127.0.0.1", "--port", "0"]


def _unbound(connections: int) -> dict[str, object]:
    """Return limits that are on and bind nobody, though all load comes from one address."""
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


def _serve(plan: Plan) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        system = start(plan, Cores.share_out() if plan.pinned else Cores(None, None), stack)
        print(json.dumps(system.as_json()), flush=True)
        sys.stdin.read()


def main() -> int:
    """Run the stack; return the exit code."""
    try:
        _serve(Plan(**json.loads(sys.stdin.readline())))
    except LoadTestError as error:
        print(
            "\n".join([str(error), *getattr(error, "__notes__", [])[:1]]), file=sys.stderr
        )  # the failed one's own
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
