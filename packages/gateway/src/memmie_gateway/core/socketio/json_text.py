"""JSON that is checked and cut into pieces of text, but not encoded again.

A translated value stays exactly as its sender has written it: numbers keep their digits, and texts their escapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined] # the typeshed does not know it
from typing import Any, Final, NamedTuple, NoReturn

_SPACE: Final = r"[ \t\n\r]*"
_BEGIN_ARRAY: Final = re.compile(rf"{_SPACE}\[{_SPACE}")
_BEGIN_OBJECT: Final = re.compile(rf"{_SPACE}\{{{_SPACE}")
_COLON: Final = re.compile(rf"{_SPACE}:{_SPACE}")
_COMMA: Final = re.compile(rf"{_SPACE},{_SPACE}")
_END_ARRAY: Final = re.compile(rf"{_SPACE}\]{_SPACE}\Z")
_END_OBJECT: Final = re.compile(rf"{_SPACE}\}}{_SPACE}\Z")


class JsonError(ValueError):
    """The text is not the JSON that is expected; the message is for its sender."""


class Piece(NamedTuple):
    """A value in a JSON text.

    Attributes:
        value: the decoded value.
        text: the value as it is written.
    """

    value: Any
    text: str


def _refuse(constant: str) -> NoReturn:
    raise JsonError(f"{constant} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)  # RFC 8259 has neither NaN nor Infinity
_SCAN: Final[Callable[[str, int], tuple[Any, int]]] = _DECODER.scan_once  # type: ignore[attr-defined] # as above


def array(text: str) -> list[Piece]:
    """Return the items of an array.

    Raises:
        JsonError: the text is not a JSON array, or is nested too deeply.
    """
    at = _after(_BEGIN_ARRAY, text, 0, "the JSON must be an array")
    items: list[Piece] = []
    if not _END_ARRAY.match(text, at):
        while True:
            piece, at = _piece(text, at)
            items.append(piece)
            if _END_ARRAY.match(text, at):
                break
            at = _after(_COMMA, text, at)
    return items


def members(text: str) -> dict[str, Piece]:
    """Return the members of an object by name; of a name that is there twice, the last one counts, as is usual.

    Raises:
        JsonError: the text is not a JSON object, or is nested too deeply.
    """
    at = _after(_BEGIN_OBJECT, text, 0, "the JSON must be an object")
    found: dict[str, Piece] = {}
    if not _END_OBJECT.match(text, at):
        while True:
            name, at = _name(text, at)
            at = _after(_COLON, text, at)
            found[name], at = _piece(text, at)
            if _END_OBJECT.match(text, at):
                break
            at = _after(_COMMA, text, at)
    return found


def _name(text: str, at: int) -> tuple[str, int]:
    if not text.startswith('"', at):
        raise JsonError("this is not JSON")
    try:
        name, end = scanstring(text, at + 1)
    except ValueError:
        raise JsonError("this is not JSON") from None
    return name, end


def _piece(text: str, at: int) -> tuple[Piece, int]:
    try:
        value, end = _SCAN(text, at)
    except JsonError:
        raise
    except (StopIteration, ValueError):  # also a number with thousands of digits
        raise JsonError("this is not JSON") from None
    except RecursionError:
        raise JsonError("the JSON is nested too deeply") from None
    return Piece(value, text[at:end]), end


def _after(mark: re.Pattern[str], text: str, at: int, problem: str = "this is not JSON") -> int:
    """Return the position after a mark."""
    found = mark.match(text, at)
    if found is None:
        raise JsonError(problem)
    return found.end()
