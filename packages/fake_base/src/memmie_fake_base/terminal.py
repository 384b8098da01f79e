"""What every command of the fakes and of the harness does alike: `--version`, and ending quietly without a reader."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

_NOT_READ: Final = 1
"""Exit code if the reader of standard output is gone."""


class VersionOption(argparse.Action):
    """The option `--version`, which prints what `version` returns, and ends the program.

    `action="version"` of argparse needs the text whenever the program starts, and looking it up takes time.

    Args:
        version: returns the lines to print.
    """

    def __init__(self, *args: Any, version: Callable[[], str], **kwargs: Any) -> None:
        super().__init__(*args, nargs=0, help="print the version", default=argparse.SUPPRESS, **kwargs)
        self._version = version

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print the version, and end the program."""
        print(self._version())  # noqa: T201 - it is for the terminal
        parser.exit()


@contextlib.contextmanager
def quiet_without_reader() -> Iterator[None]:
    """End the program without a traceback if the reader of standard output, such as `head -1`, is gone.

    Raises:
        SystemExit: 1, because not all of the output was read.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # pythonw and closed descriptors have none
                sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes standard output once more at the end; this must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_NOT_READ) from None
