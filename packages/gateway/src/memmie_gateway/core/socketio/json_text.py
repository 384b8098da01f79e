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

DEEPEST: Final = 500
"""Maximum number of arrays and objects around a value in a text that is longer than a window."""

_BLANKS: Final = " \t\n\r"
_SPACE: Final = (
    rf"[{_BLANKS}]*+"  # possessive: without going back, a text of blanks takes no longer than others
)
_BEGIN_ARRAY: Final = re.compile(rf"{_SPACE}\[{_SPACE}")
_BEGIN_OBJECT: Final = re.compile(rf"{_SPACE}\{{{_SPACE}")
_EMPTY: Final = re.compile(rf"{_SPACE}(?:\[{_SPACE}\]|\{{{_SPACE}\}}){_SPACE}")
_SKIP: Final = re.compile(_SPACE)
_COLON: Final = re.compile(rf"{_SPACE}:{_SPACE}")
_AFTER_VALUE: Final = re.compile(rf"{_SPACE}([,\]}}]){_SPACE}")

_STRING: Final = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_LAST_COMMA: Final = re.compile(rf'(?:[^",]+|{_STRING}|(,))*', re.DOTALL)
_NO_BRACKETS: Final = re.compile(rf'(?:[^"\[\]{{}}]+|{_STRING})+', re.DOTALL)

_CLOSING: Final = {"[": "]", "{": "}"}
_OPENING: Final = {"]": "[", "}": "{"}
_REOPEN: Final = {"]": "[", "}": '{"":'}

_MOST_OF_EXPONENT: Final = 2
"""Number of characters of a number that is cut, as `1e+`, which the decoder takes for the end of `1`."""

_PATIENCE: Final = 32
"""Number of commas that are passed, at most, for one behind a bracket: from there, guessing the last comma is more likely."""

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

    __slots__ = ("_begin", "_open", "_text", "_window")

    def __init__(self, text: str) -> None:
        self._begin = 0
        self._open: list[str] = []  # the brackets that close what is open
        self._text = text
        self._window = text[:WINDOW]

    def value(self, at: int) -> Slices[tuple[Any, int]]:
        """Return a value and its end.

        A value that fits into a window is read as a whole. A larger array or object is read window by window: each one at
        once up to its last comma, and from there token by token to the next comma, where the next window begins. So no
        part of the text is read more than a few times, however deep it is nested.
        """
        text = self._text
        value, end = self._fitting(at)
        if end < 0 and at > self._begin:
            yield
            self._move(at)
            value, end = self._fitting(at)
        if end >= 0:
            return value, end
        if text[at : at + 1] not in _CLOSING:
            return _value(text, at)  # a long string, or nothing
        at = self._innermost(at)
        patience = _PATIENCE
        while self._open:
            after_bracket = text[at - 1] in _OPENING
            at = _after_blanks(text, at)
            mark = text[at : at + 1]
            if mark == ",":
                at = _after_blanks(text, at + 1)
                patience -= 1
                if after_bracket or not patience:
                    yield
                    self._move(at)
                    at = self._up_to_last_comma()
                    patience = _PATIENCE
                if self._open:
                    at = self._innermost(self._name(at))
            elif mark == self._open.pop():
                at += 1
            else:
                raise JsonError(_NOT_JSON)
        return ..., at

    def _move(self, at: int) -> None:
        """Move the window."""
        self._begin, self._window = at, self._text[at : at + WINDOW]

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

    def _innermost(self, at: int) -> int:
        """Go into the arrays and objects that begin here; return the end of the first value that is not one, or is empty."""
        text = self._text
        while (bracket := text[at : at + 1]) in _CLOSING:
            self._open.append(_CLOSING[bracket])
            if len(self._open) > DEEPEST:
                raise JsonError(_TOO_DEEP)
            at = _after_blanks(text, at + 1)
            if text.startswith(self._open[-1], at):
                return at  # it is empty
            at = self._name(at)
        return _value(text, at)[1]

    def _name(self, at: int) -> int:
        """Return the position of the next value, which is behind a name in an object."""
        return _name(self._text, at)[1] if self._open[-1] == "}" else at

    def _up_to_last_comma(self) -> int:
        """Read the window, which begins behind a comma, up to its last comma, or to the end of the value if this comes first.

        Returns:
            The position behind the comma, and behind blanks; or behind the value.
        """
        window, bracket = self._window, self._open[-1]
        mark = f"{_CLOSING.get(window[:1], '')},"  # behind an item like this one
        comma = window.rfind(mark) + len(mark) - 1
        if comma > 0 and _is_value(
            f"{_OPENING[bracket]}{window[:comma]}{bracket}"
        ):  # guessed, and much faster
            return _after_blanks(self._text, self._begin + comma + 1)
        found = _LAST_COMMA.match(window)
        assert found is not None  # noqa: S101 - it matches nothing, too
        comma = found.start(1)
        if comma < 0:
            return self._begin
        part = window[:comma].rstrip(_BLANKS)
        if not part or part[0] in _OPENING:
            raise JsonError(
                _NOT_JSON
            )  # no item, which would be hidden by the brackets that are put around it here
        begin = "".join(map(_REOPEN.__getitem__, self._open[:-1])) + _OPENING[bracket]
        if self._follow(_NO_BRACKETS.sub("", part)):
            if part[-1] in _CLOSING or not _is_value(f"{begin}{part}{''.join(reversed(self._open))}"):
                raise JsonError(_NOT_JSON)  # as above
            return _after_blanks(self._text, self._begin + comma + 1)
        _, end = _value(begin + window, 0)
        return self._begin + end - len(begin)

    def _follow(self, brackets: str) -> bool:
        """Open and close arrays and objects; return whether one is still open. The decoder checks that they match."""
        opened = self._open
        for bracket in brackets:
            if bracket in _CLOSING:
                opened.append(_CLOSING[bracket])
                if len(opened) > DEEPEST:
                    raise JsonError(_TOO_DEEP)
            else:
                opened.pop()
                if not opened:
                    return False
        return True


def _is_value(text: str) -> bool:
    """Tell whether a text is one value and nothing else."""
    try:
        return _SCAN(text, 0)[1] == len(text)
    except (StopIteration, ValueError, RecursionError):
        return False


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
