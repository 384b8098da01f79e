"""Where the commands of the kit write: to a terminal, to a pipe, and to files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TextIO

STANDARD: Final = "-"
"""The name of a file that stands for standard output."""

USAGE: Final = 2
"""Exit code for an option, a profile or a report that cannot be used."""


def usage(problem: str) -> int:
    """Print what is wrong, and return the exit code for it."""
    say(f"memmie conformance: {problem}", sys.stderr)
    return USAGE


def say(text: str, stream: TextIO) -> None:
    """Print a line at once."""
    print(text, file=stream, flush=True)


def notes_stream(files: Iterable[str | None]) -> TextIO:
    """Return where to print what is not in one of these files: standard error if one of them is standard output."""
    return sys.stderr if STANDARD in files else sys.stdout


def unwritable(files: Iterable[str | None]) -> str | None:
    """Return why one of these files cannot be written, so that this is known before the run; None if there is no problem."""
    names = [name for name in files if name is not None]
    for name in names:
        if names.count(name) > 1:
            return f"two reports cannot be written to {'standard output' if name == STANDARD else name}"
        if name == STANDARD:
            continue
        path = Path(name)
        if path.is_dir():
            return f"{name} is a folder, but should be a file"
        if not path.parent.is_dir():
            return f"{name} cannot be written: there is no folder {path.parent}"
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            return f"{name} cannot be written: you may not write there"
    return None


class OutputError(Exception):
    """Files could not be written, for example because the disk is full; the message names them."""


def write(*files: tuple[str | None, str]) -> None:
    """Write texts into files; nothing where the name is None.

    Raises:
        OutputError: a file could not be written; the others are there.
    """
    problems: list[str] = []
    for name, text in files:
        if name == STANDARD:
            sys.stdout.write(text)
        elif name is not None:
            try:
                Path(name).write_text(text, encoding="utf-8")
            except OSError as error:
                problems.append(f"{name} cannot be written: {error.strerror}")
    if problems:
        raise OutputError("\n".join(problems))
