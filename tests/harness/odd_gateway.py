"""A program that behaves as a gateway does on a bad day, for the tests of ProcessTarget: `odd_gateway.py HABIT`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import FrameType

HABIT = sys.argv[1]


class Answers(BaseHTTPRequestHandler):
    """`/ready` is 200, or what the habit says; `/say/WORD` logs the word."""

    def do_GET(self) -> None:
        if HABIT == "dies-before-ready":
            os._exit(7)
        if self.path.startswith("/say/"):
            say(event=self.path.removeprefix("/say/"))
        elif HABIT == "never-ready":
            say(event="asked")
        status = 503 if HABIT == "never-ready" else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b'{"studios": "none healthy"}' if status == 503 else b"{}")

    def log_message(self, *_: object) -> None:
        """Be quiet on standard error."""


def say(**record: object) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def on_term(_signum: int, _frame: FrameType | None) -> None:
    if HABIT == "ignores-term":
        say(event="ignored")
        return
    if HABIT in {"leaves-a-child", "leaves-a-daemon"}:
        child = os.fork()
        if not child:
            if HABIT == "leaves-a-daemon":
                os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            threading.Event().wait()  # with both pipes open
        say(event="child", pid=child)  # said here, because it is unknown when the child itself runs
    say(event="stopped")
    os._exit(3 if HABIT == "fails-on-term" else 0)


def main() -> None:
    if HABIT == "bad-settings":
        sys.stderr.write("PORT: 'x' given, allowed: 0 to 65535\n")
        sys.exit(2)
    signal.signal(signal.SIGTERM, on_term)
    say(event="started")
    if HABIT == "never-listens":
        threading.Event().wait()
    server = HTTPServer(("127.0.0.1", 0), Answers)
    if HABIT == "odd-output":
        sys.stdout.write("plain text\n{broken json\n[1, 2]\n\n" + "x" * (2 * 1024 * 1024) + "\n")
        sys.stdout.buffer.write(b"not \xff utf-8\n")
    say(event="environment", names=sorted(os.environ), session=os.getsid(0), pid=os.getpid())
    say(event="listening", url=f"http://127.0.0.1:{server.server_port}", port=server.server_port)
    if HABIT == "floods":
        for number in range(20_000):
            say(event="flood", number=number, filling="." * 80)
    server.serve_forever()


main()
