"""The load, a process of its own: `python -m loadtests.traffic.load`.

It makes one measurement: it reads `{"measurement": …, "target": {…}, "options": {…}}` from standard input and prints
`{"result": {…}}` or, with exit code 1, `{"problem": …}`.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from typing import Any

import uvloop

from loadtests.common.errors import LoadTestError
from loadtests.traffic.measurements import MEASUREMENTS
from loadtests.traffic.results import Target


async def _measure() -> Any:
    job = json.load(sys.stdin)
    return await MEASUREMENTS[job["measurement"]](Target(**job["target"]), **job["options"])


def main() -> int:
    """Make the measurement that standard input names; return the exit code."""
    logging.getLogger("picows").setLevel(logging.CRITICAL)  # what goes wrong is in the answer
    try:
        result = uvloop.run(_measure())
    except LoadTestError as error:
        print(json.dumps({"problem": str(error)}))
        return 1
    print(json.dumps({"result": asdict(result)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
