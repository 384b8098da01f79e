from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from memmie_harness.targets import TargetError
from memmie_harness.targets.command import CommandTarget, find_program, free_port
from memmie_harness.targets.ready_when import ReadyWhen

LISTENS = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204 if self.path == "/ready" else 404)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("listening on", server.server_port, flush=True)
server.serve_forever()
"""

Make = Callable[..., CommandTarget]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Make targets, and kill what a failed test left."""
    made: list[CommandTarget] = []

    def target(code: str, *arguments: str, start_seconds: float = 20, **options: object) -> CommandTarget:
        command = [sys.executable, "-S", "-c", code, *arguments]
        made.append(CommandTarget(command, start_seconds=start_seconds, **options))  # type: ignore[arg-type]
        return made[-1]

    yield target
    for each in made:
        await each.kill()


async def test_it_is_ready_when_port_and_path_say_so_and_ends_by_the_signal(make: Make) -> None:
    port = free_port()
    target = make(
        LISTENS, str(port), port=port, ready=ReadyWhen(port=True, path="/ready"), stop_signal=signal.SIGINT
    )
    await target.start()

    assert (target.url, target.ws_url) == (f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}/ws")
    await target.stop()
    assert target.exit_code not in {None, 0}  # other programs may end with any code
    assert "KeyboardInterrupt" in target.log_tail()


async def test_the_log_says_which_port_it_chose(make: Make) -> None:
    target = make(LISTENS, "0", ready=ReadyWhen(log=re.compile(r"listening on (?P<port>\d+)"), port=True))
    await target.start()

    assert f"listening on {target.url.rpartition(':')[2]}" in target.log_tail()


@pytest.mark.parametrize(
    ("code", "ready", "message"),
    [
        ("raise SystemExit(3)", ReadyWhen(port=True), "it ended with exit code 3 before it was ready"),
        (
            "print('x', flush=True); input()",
            ReadyWhen(log=re.compile("y")),
            "exit code 1 before it was ready",
        ),
        (
            "print('port abc', flush=True); import time; time.sleep(0.3)",
            ReadyWhen(log=re.compile("port (?P<port>.*)")),
            "exit code 0 before it was ready",
        ),
    ],
)
async def test_a_program_that_ends_is_not_waited_for(
    make: Make, code: str, ready: ReadyWhen, message: str
) -> None:
    target = make(code, ready=ready)
    with pytest.raises(TargetError, match=message):
        await target.start()


async def test_what_is_missing_is_named(make: Make) -> None:
    code = "import time; time.sleep(60)"
    for ready, words in (
        (ReadyWhen(log=re.compile("go")), "missing was a log line like 'go'"),
        (ReadyWhen(port=True), "missing was a listener on port"),
        (ReadyWhen(log=re.compile("(?P<port>)", re.MULTILINE)), "missing was a port in the log line ''"),
        (ReadyWhen(path="/ready"), "missing was an answer from /ready"),
    ):
        target = make(code, ready=ready, port=free_port(), start_seconds=0.1)
        with pytest.raises(TargetError, match=words):
            await target.start()
        assert target.exit_code == -signal.SIGKILL


def test_programs_are_found_by_path_folder_and_name(tmp_path: Path) -> None:
    program = tmp_path / "gw"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(TargetError, match=r"there is no program '\./gw'"):
        find_program("./gw", "", tmp_path)  # it may not be executed
    program.chmod(0o755)

    assert find_program("./gw", "", tmp_path) == program
    assert find_program("gw", os.pathsep.join(["/nowhere", str(tmp_path)]), Path("/")) == program
    with pytest.raises(TargetError, match="there is no program 'gw2' in PATH"):
        find_program("gw2", str(tmp_path), tmp_path)
