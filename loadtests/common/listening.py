"""What the small servers of the load tests have in common."""

from __future__ import annotations

import asyncio
import json
import signal


async def listen_until_signalled(port: int) -> None:
    """Print the port as one line of JSON (see `supervisor.announced_port`), and return on SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(json.dumps({"event": "listening", "port": port}), flush=True)
    await stop.wait()
