"""A Python that imports Locust, which takes seconds of CPU, and then runs each command in a fork of itself.

It reads a line of JSON for each command: the script, its arguments, and files for its standard output and error. It
answers with the exit code. The fork is a process of its own, as with `locust --processes`.
"""

import gc
import json
import os
import runpy
import sys
from pathlib import Path

fork, waitpid = os.fork, os.waitpid  # before Locust replaces them by gevent's
sys.path[0] = str(Path(__file__).parents[2])  # where `loadtests` is

import gevent  # noqa: E402 - see above
import locust.main  # noqa: E402, F401 - every command needs it

import loadtests.scenarios.play  # noqa: E402, F401 - every scenario needs it


def main() -> None:
    """Run one command after the other until standard input ends."""
    gc.freeze()  # a fork would copy everything that it collects at its end
    for line in sys.stdin:
        script, arguments, out, err = json.loads(line)
        child = fork()
        if not child:
            gevent.reinit()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for stream, file in ((1, out), (2, err)):
                os.dup2(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), stream)
            sys.argv = [script, *arguments]
            runpy.run_path(script, run_name="__main__")
            return
        print(os.waitstatus_to_exitcode(waitpid(child, 0)[1]), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
