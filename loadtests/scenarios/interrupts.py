"""Ctrl-C and SIGTERM under gevent: they end the scenario, not whichever user happens to run.

Only the first does: one that comes while everything is being ended would leave what it has not come to yet.
"""

from __future__ import annotations

import signal
from types import FrameType

import gevent

from loadtests.interrupted import SIGNALS


def ignore_signals() -> None:
    """Let SIGINT and SIGTERM do nothing from now on: what is left to do takes no time, and must be done whole."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def end_on_signals() -> None:
    """Raise KeyboardInterrupt in the calling greenlet at the first SIGINT or SIGTERM, whoever runs then."""
    main = gevent.getcurrent()

    def interrupt(_: int, __: FrameType | None) -> None:
        ignore_signals()
        if gevent.getcurrent() is main:
            raise KeyboardInterrupt
        gevent.get_hub().loop.run_callback(main.throw, KeyboardInterrupt)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as for a job in the background
            signal.signal(number, interrupt)
