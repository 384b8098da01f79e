"""The gateway as it is, but for its name server, and for how often it moves a user.

Names are looked up in a file that the chaos run writes. It is named by `CHAOS_NAMES` and maps names to addresses. A name that
is not there does not exist, and one without an address cannot be looked up now.

`CHAOS_AGAIN_SECONDS` replaces the ten minutes in which a user is moved at most once, because a run is shorter. On SIGUSR1
the process writes what it holds: asyncio tasks, places under the limits, and objects of clients that speak Socket.IO.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

import uvloop

from memmie_gateway.app.cli import main
from memmie_gateway.core.limits import SlotCounts
from memmie_gateway.core.sessions import rebalance
from memmie_gateway.net.socketio.client import TranslatedClient
from memmie_gateway.net.socketio.polling import PollingCarrier
from memmie_gateway.net.socketio.websocket_carrier import WebSocketCarrier

SUFFIX: Final = ".chaos"
"""The domain of every service."""

SOCKETIO: Final = frozenset({PollingCarrier, TranslatedClient, WebSocketCarrier})
"""What a client that speaks Socket.IO has in a gateway. Nothing of it may wait for the garbage collector, either."""


def look_up(host: str, port: int) -> list[tuple[Any, ...]]:
    """Return the answer of `getaddrinfo` for a name of a service.

    Raises:
        socket.gaierror: the name does not exist, or cannot be looked up now.
    """
    names: dict[str, str] = json.loads(Path(os.environ["CHAOS_NAMES"]).read_text())
    if host not in names:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if not names[host]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (names[host], port))]


def use_names(loop_class: Any) -> None:
    """Let the loops of this class look up the services' names in the file, and other names as before."""
    original = loop_class.getaddrinfo

    async def getaddrinfo(loop: Any, host: Any, port: Any, **options: Any) -> Any:
        if isinstance(host, str) and host.endswith(SUFFIX):
            return look_up(host, port)
        return await original(loop, host, port, **options)

    loop_class.getaddrinfo = getaddrinfo


def report_held(*_: object) -> None:
    """Write what the process holds as a line of the log."""
    held = {"tasks": 0, "places": 0, "socketio": 0}
    for each in gc.get_objects():
        kind = type(each)  # isinstance would ask objects that stand for others
        if issubclass(kind, asyncio.Task):
            held["tasks"] += not each.done()
        elif kind is SlotCounts:
            held["places"] += sum(each._held.values())
        elif kind in SOCKETIO:
            held["socketio"] += 1
    sys.stdout.write(json.dumps({"event": "chaos_held", **held}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    vars(rebalance)["AGAIN_SECONDS"] = float(os.environ["CHAOS_AGAIN_SECONDS"])
    use_names(uvloop.Loop)
    use_names(asyncio.BaseEventLoop)
    signal.signal(signal.SIGUSR1, report_held)
    sys.exit(main(["serve"]))
