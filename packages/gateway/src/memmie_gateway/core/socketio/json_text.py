"""JSON that is checked and cut into pieces of text, but not encoded again.

A translated value stays exactly as its sender has written it: numbers keep their digits, and texts their escapes.

All functions here are generators, because reading a megabyte of JSON takes tens of milliseconds. They yield after each
window of `WINDOW` characters, so that their caller can let others go on. A text that is not longer is read at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Generator
from json.decoder import scanstring  # type: ignore[attr-defined] # the typeshed does not know it
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias, TypeVar

T = TypeVar("T")

Slices: TypeAlias = Generator[None, None, T]
"""Work that yields when others should go on, and ends with a value."""

WINDOW: Final = 8 * 1024
"""Number of characters that are read at once. Even the worst of them take less than a millisecond."""

DEEPEST: Final = 128
"""Maximum number of arrays and objects around a value in a text that is longer than a window."""

_BLANKS: Final = " \t\n\r"
_SPACE: Final = rf"[{_BLANKS}]*"
_BEGIN_ARRAY: Final = re.compile(rf"{_SPACE}\[{_SPACE}")
_BEGIN_OBJECT: Final = re.compile(rf"{_SPACE}\{{{_SPACE}")
_EMPTY: Final = re.compile(rf"{_SPACE}(?:\[{_SPACE}\]|\{{{_SPACE}\}}){_SPACE}")
_SKIP: Final = re.compile(_SPACE)
_COLON: Final = re.compile(rf"{_SPACE}:{_SPACE}")
_AFTER_VALUE: Final = re.compile(rf"{_SPACE}([,\]}}]){_SPACE}")

_CLOSING: Final = {"[": "]", "{": "}"}
_OPENING: Final = {"]": "[", "}": "{"}

_MOST_OF_EXPONENT: Final = 2
"""Number of characters of a number that is cut, as `1e+`, which the decoder takes for the end of `1`."""

_NOT_JSON: Final = "this is not JSON"
_NO_OBJECT: Final = "the JSON must be an object"
_TOO_DEEP: Final = "the JSON is nested too deeply"


class JsonError(ValueError):
    """The text is not the JSON that is expected; the message is for its sender."""


class Piece(NamedTuple):
    """A value in a JSON text.

    Attributes:
        value: the decoded value; `...` for an array or object that is larger than a window.
        text: the value as it is written.
    """

    value: Any
    text: str


def _refuse(constant: str) -> NoReturn:
    raise JsonError(f"{constant} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)  # RFC 8259 has neither NaN nor Infinity
_SCAN: Final[Callable[[str, int], tuple[Any, int]]] = _DECODER.scan_once  # type: ignore[attr-defined] # as above


def array(text: str, most: int) -> Slices[list[Piece]]:
    """Return the items of an array.

    Args:
        text: the text.
        most: maximum number of items; of an array with more items, one more is returned, and the rest is not read.

    Raises:
        JsonError: the text is not a JSON array, or is nested too deeply.
    """
    at = _begin(_BEGIN_ARRAY, text, "the JSON must be an array")
    items: list[Piece] = []
    windows = _Windows(text) if len(text) > WINDOW else None
    more = text[at : at + 1] != "]" or not _EMPTY.fullmatch(text)
    while more:
        value, end = _value(text, at) if windows is None else (yield from windows.value(at))
        items.append(Piece(value, text[at:end]))
        if len(items) > most:
            break
        at, more = _next(text, end, "]")
    return items


def members(text: str, names: Container[str]) -> Slices[dict[str, Piece]]:
    """Return members of an object by name; of a name that is there twice, the last one counts, as is usual.

    Args:
        text: the text.
        names: the names of those that are returned.

    Raises:
        JsonError: the text is not a JSON object, or is nested too deeply.
    """
    at = _begin(_BEGIN_OBJECT, text, _NO_OBJECT)
    found: dict[str, Piece] = {}
    windows = _Windows(text) if len(text) > WINDOW else None
    more = text[at : at + 1] != "}" or not _EMPTY.fullmatch(text)
    while more:
        name, at = _name(text, at)
        value, end = _value(text, at) if windows is None else (yield from windows.value(at))
        if name in names:
            found[name] = Piece(value, text[at:end])
        at, more = _next(text, end, "}")
    return found


def member(text: str, name: str) -> Slices[Any]:
    """Return the value of one member of an object; None if there is none.

    Raises:
        JsonError: the text is not a JSON object, or is nested too deeply.
    """
    if len(text) > WINDOW:
        piece = (yield from members(text, (name,))).get(name)
        return None if piece is None else piece.value
    text = text.strip(_BLANKS)
    value, end = _value(text, 0)  # faster than one member after the other
    if end != len(text):
        raise JsonError(_NOT_JSON)
    if not isinstance(value, dict):
        raise JsonError(_NO_OBJECT)
    return value.get(name)


def _begin(mark: re.Pattern[str], text: str, problem: str) -> int:
    found = mark.match(text)
    if found is None:
        raise JsonError(problem)
    return found.end()


def _name(text: str, at: int) -> tuple[str, int]:
    """Return the name of a member, and the position of its value."""
    if not text.startswith('"', at):
        raise JsonError(_NOT_JSON)
    try:
        name, end = scanstring(text, at + 1)
    except ValueError:
        raise JsonError(_NOT_JSON) from None
    if text[end : end + 1] == ":" and text[end + 1 : end + 2] not in _BLANKS:
        return name, end + 1  # as most programs write it; the regular expression takes longer
    colon = _COLON.match(text, end)
    if colon is None:
        raise JsonError(_NOT_JSON)
    return name, colon.end()


def _value(text: str, at: int) -> tuple[Any, int]:
    """Return a value and its end."""
    try:
        return _SCAN(text, at)
    except JsonError:
        raise
    except (StopIteration, ValueError):  # also a number with thousands of digits
        raise JsonError(_NOT_JSON) from None
    except RecursionError:
        raise JsonError(_TOO_DEEP) from None


class _Windows:
    """A text that is longer than a window, of which the values are read in order.

    Args:
        text: the text.
    """

    __slots__ = ("_begin", "_skipped", "_text", "_window")

    def __init__(self, text: str) -> None:
        self._begin = 0
        self._skipped = False  # in this window
        self._text = text
        self._window = text[:WINDOW]

    def value(self, at: int) -> Slices[tuple[Any, int]]:
        """Return a value and its end.

        A value that fits into a window is read as a whole. Of a larger array or object, the values inside are read one by one.
        """
        text = self._text
        around: list[str] = []  # the brackets that close what is open
        while True:
            value, end = self._fitting(at)
            if end < 0 and at > self._begin:
                yield
                self._begin, self._window, self._skipped = at, text[at : at + WINDOW], False
                value, end = self._fitting(at)
            if end < 0 and (bracket := text[at : at + 1]) in _CLOSING:
                around.append(_CLOSING[bracket])
                if len(around) > DEEPEST:
                    raise JsonError(_TOO_DEEP)
                at = _after_blanks(text, at + 1)
                if not text.startswith(around[-1], at):
                    if bracket == "{":
                        _, at = _name(text, at)
                    continue
            elif end < 0:
                value, at = _value(text, at)  # a long string, or nothing
            else:
                at = end
            while around:
                at = _after_blanks(text, at)
                mark = text[at : at + 1]
                if mark == ",":
                    at = self._skip(_after_blanks(text, at + 1), around[-1])
                    if around[-1] == "}":
                        _, at = _name(text, at)
                    break
                if mark != around.pop():
                    raise JsonError(_NOT_JSON)
                value = ...
                at += 1
            else:
                return value, at

    def _fitting(self, at: int) -> tuple[Any, int]:
        """Return a value and its end; -1 as its end if it is not certain that it ends in the window."""
        window = self._window
        try:
            value, end = _SCAN(window, at - self._begin)
        except (StopIteration, ValueError):
            return None, -1
        except RecursionError:
            raise JsonError(_TOO_DEEP) from None
        certain = end < len(window) - _MOST_OF_EXPONENT
        return (value, self._begin + end) if certain else (None, -1)

    def _skip(self, at: int, bracket: str) -> int:
        """Return the position behind all items but the last of the window if they can be read at once, which is faster.

        Args:
            at: the position of an item.
            bracket: the one that closes the array or object around it.
        """
        if self._skipped:
            return at
        self._skipped = True
        start, window = at - self._begin, self._window
        mark = f"{_CLOSING.get(window[start : start + 1], '')},"  # behind an item like this one
        comma = window.rfind(mark, start) + len(mark) - 1
        items = f"{_OPENING[bracket]}{window[start:comma]}{bracket}"
        try:
            _, end = _SCAN(items, 0)
        except (StopIteration, ValueError, RecursionError):
            return at  # the comma is inside an item, or there is none
        return (
            _after_blanks(self._text, self._begin + comma + 1) if end == len(items) and start < comma else at
        )


def _after_blanks(text: str, at: int) -> int:
    if text[at : at + 1] not in _BLANKS:
        return at
    found = _SKIP.match(text, at)
    assert found is not None  # noqa: S101 - it matches no blanks, too
    return found.end()


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
