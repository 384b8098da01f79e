"""The load, a process of its own: `python -m loadtests.traffic.load`.

One measurement a process: it reads `{"measurement": …, "target": {…}, "options": {…}}` from standard input, and prints
`{"result": {…}}` or, with exit code 1, `{"problem": …}`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

import uvloop

from loadtests.common.errors import ProcessGoneError
from loadtests.traffic import connects, hold, latency, memory, round_trips
from loadtests.traffic.job import LoadError, Target

MEASUREMENTS: Final[dict[str, Callable[..., Awaitable[Any]]]] = {
    "round-trips": round_trips.measure,
    "latency": latency.measure,
    "connects": connects.measure,
    "memory": memory.measure,
    "hold": hold.measure,
}


async def _measure() -> Any:
    job = json.load(sys.stdin)
    return await MEASUREMENTS[job["measurement"]](Target(**job["target"]), **job["options"])


def main() -> int:
    """Do what standard input says; return the exit code."""
    logging.getLogger("picows").setLevel(logging.CRITICAL)  # what goes wrong is in the answer
    try:
        result = uvloop.run(_measure())
    except (LoadError, ProcessGoneError) as error:
        print(json.dumps({"problem": str(error)}))
        return 1
    print(json.dumps({"result": asdict(result)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
