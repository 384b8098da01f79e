"""The peers benchmark: what the gateway costs, compared with other proxies and libraries.

Run it as a script, `python loadtests/bench.py --help`; the command itself is in `benchmark/command.py`.
"""

import sys
from pathlib import Path

# `loadtests` is a folder of scripts, not a package: import from the repository's root, whatever the working directory.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from loadtests.interrupted import ended_when_interrupted  # noqa: E402 - the line above finds it
from loadtests.libraries import demand, show_version  # noqa: E402 - the line above finds it

if __name__ == "__main__":
    with ended_when_interrupted("bench.py"):
        show_version("bench.py")
        demand("bench.py", "jinja2", "memmie_harness", "picows", "plotly", "psutil", "uvloop", "websockets")

        from loadtests.benchmark.command import main

    sys.exit(main())
