"""End a command that is interrupted while it still imports what it needs: nothing runs yet, and a traceback says nothing."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Final

EXIT_INTERRUPTED: Final = 130

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def ended_when_interrupted(command: str) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM inside the block end the process, with one line that begins with the command's name.

    A handler that the block sets takes over; without one, the former handlers are restored after the block.
    """

    def end(_: int, __: FrameType | None) -> None:
        # An exception would be raised in whatever is being imported, such as gevent's loop, which prints it.
        os.write(2, f"{command}: interrupted; nothing was started\n".encode())
        os._exit(EXIT_INTERRUPTED)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as for a job in the background
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is end:
                signal.signal(number, handler)
