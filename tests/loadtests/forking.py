"""A Python that imports modules once, which takes long, and then runs each command in a fork of itself.

Its arguments are the modules. It reads a line of JSON for each command: the script, its arguments, and files for its
standard input, output and error. It answers with the exit code. The fork is a process of its own, as with
`locust --processes`.
"""

import gc
import importlib
import json
import os
import runpy
import sys
from pathlib import Path

fork, waitpid = os.fork, os.waitpid  # before Locust replaces them by gevent's


def main() -> None:
    """Run one command after the other until standard input ends."""
    sys.path[0] = str(Path(__file__).parents[2])  # where `loadtests` is
    for module in sys.argv[1:]:
        importlib.import_module(module)
    gc.freeze()  # a fork would copy everything that it collects at its end
    for line in sys.stdin:
        script, arguments, *files = json.loads(line)
        child = fork()
        if not child:
            if "gevent" in sys.modules:
                sys.modules["gevent"].reinit()
            for stream, (file, mode) in enumerate(
                zip(files, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)
            ):
                os.dup2(os.open(file, mode), stream)
            sys.argv = [script, *arguments]
            runpy.run_path(script, run_name="__main__")
            return
        print(os.waitstatus_to_exitcode(waitpid(child, 0)[1]), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
