"""The load scenarios: what the gateway does under load, and whether that is what it promises.

Run it as a script, `python loadtests/load.py --help`; the command itself is in `scenarios/command.py`.
"""

import sys
from pathlib import Path

# `loadtests` is a folder of scripts, not a package: import from the repository's root, whoever runs this from where.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from loadtests.interrupted import ended_when_interrupted  # noqa: E402 - the line above finds it
from loadtests.libraries import demand  # noqa: E402 - likewise

if __name__ == "__main__":
    with ended_when_interrupted("load.py"):
        demand("load.py", "locust", "plotly", "psutil", "websockets")

        from loadtests.scenarios.command import main

        sys.exit(main())
