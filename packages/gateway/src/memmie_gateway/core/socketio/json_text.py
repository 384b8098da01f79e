"""JSON that is checked and cut into pieces of text, but not encoded again.

A translated value stays exactly as its sender has written it: numbers keep their digits, and texts their escapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined] # the typeshed does not know it
from typing import Any, Final, NamedTuple, NoReturn

_BLANKS: Final = " \t\n\r"
_SPACE: Final = rf"[{_BLANKS}]*"
_BEGIN_ARRAY: Final = re.compile(rf"{_SPACE}\[{_SPACE}")
_BEGIN_OBJECT: Final = re.compile(rf"{_SPACE}\{{{_SPACE}")
_EMPTY: Final = re.compile(rf"{_SPACE}(?:\[{_SPACE}\]|\{{{_SPACE}\}}){_SPACE}")
_COLON: Final = re.compile(rf"{_SPACE}:{_SPACE}")
_AFTER_VALUE: Final = re.compile(rf"{_SPACE}([,\]}}]){_SPACE}")

_NOT_JSON: Final = "this is not JSON"


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


def decode(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        JsonError: the text is not JSON, or is nested too deeply.
    """
    text = text.strip(_BLANKS)
    value, end = _value(text, 0)
    if end != len(text):
        raise JsonError(_NOT_JSON)
    return value


def array(text: str) -> list[Piece]:
    """Return the items of an array.

    Raises:
        JsonError: the text is not a JSON array, or is nested too deeply.
    """
    at = _begin(_BEGIN_ARRAY, text, "the JSON must be an array")
    items: list[Piece] = []
    more = text[at : at + 1] != "]" or not _EMPTY.fullmatch(text)
    while more:
        value, end = _value(text, at)
        items.append(Piece(value, text[at:end]))
        at, more = _next(text, end, "]")
    return items


def members(text: str) -> dict[str, Piece]:
    """Return the members of an object by name; of a name that is there twice, the last one counts, as is usual.

    Raises:
        JsonError: the text is not a JSON object, or is nested too deeply.
    """
    at = _begin(_BEGIN_OBJECT, text, "the JSON must be an object")
    found: dict[str, Piece] = {}
    more = text[at : at + 1] != "}" or not _EMPTY.fullmatch(text)
    while more:
        if not text.startswith('"', at):
            raise JsonError(_NOT_JSON)
        try:
            name, end = scanstring(text, at + 1)
        except ValueError:
            raise JsonError(_NOT_JSON) from None
        if text[end : end + 1] == ":" and text[end + 1 : end + 2] not in _BLANKS:
            at = end + 1  # as most programs write it; the regular expression takes longer
        else:
            colon = _COLON.match(text, end)
            if colon is None:
                raise JsonError(_NOT_JSON)
            at = colon.end()
        value, end = _value(text, at)
        found[name] = Piece(value, text[at:end])
        at, more = _next(text, end, "}")
    return found


def _begin(mark: re.Pattern[str], text: str, problem: str) -> int:
    found = mark.match(text)
    if found is None:
        raise JsonError(problem)
    return found.end()


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _SCAN(text, at)
    except JsonError:
        raise
    except (StopIteration, ValueError):  # also a number with thousands of digits
        raise JsonError(_NOT_JSON) from None
    except RecursionError:
        raise JsonError("the JSON is nested too deeply") from None


def _next(text: str, end: int, bracket: str) -> tuple[int, bool]:
    """Return the position of the next item, and whether there is one."""
    mark = text[end : end + 1]
    if mark == "," and text[end + 1 : end + 2] not in _BLANKS:
        return end + 1, True  # as most programs write it; the regular expression takes longer
    if mark == bracket and end + 1 == len(text):
        return end + 1, False
    found = _AFTER_VALUE.match(text, end)
    if found is not None:
        mark, at = found[1], found.end()
        if mark == ",":
            return at, True
        if mark == bracket and at == len(text):
            return at, False
    raise JsonError(_NOT_JSON)
