"""Files that are written whole or not at all, JSON that is read as a dataclass, and standard output that nobody reads."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

Kind = TypeVar("Kind")


def write_whole(file: Path, text: str) -> None:
    """Write a file in one step: a reader never sees half of it, and a failed write leaves what was there."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")  # another run may write the same file
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(file)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def parsed(kind: type[Kind], text: str) -> Kind:
    """Return the dataclass instance that a JSON text stands for; a ValueError says what in it does not fit."""
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg']}".removeprefix(": ")) from None


def discard_output() -> None:
    """Discard what standard output still holds, after a write has failed: it is written at exit, and must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
