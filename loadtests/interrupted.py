"""What an interrupt does to a command that is still importing what it needs: half of it is there, and nothing runs yet."""

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
    """Have the first SIGINT or SIGTERM end the process inside the block, with a line instead of a traceback.

    A handler that the block sets takes over; without one, what there was before is there again after the block.

    Args:
        command: its name.
    """

    def end(_: int, __: FrameType | None) -> None:
        # An exception would come out of whatever is being imported, gevent's loop among it, which prints it.
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
