"""Reading JSON objects from requests and messages; a bad one is refused with what is wrong and what is expected."""

from __future__ import annotations

import json
import math
from typing import Any, Final, TypeVar

from aiohttp import web

from memmie_fake_base.problems import Problem

T = TypeVar("T")

_MAX_DEPTH: Final = 100
"""How many levels of objects and lists JSON may have."""

_TOO_DEEP: Final = f"the JSON is nested too deeply; at most {_MAX_DEPTH} levels are allowed"
"""The message for JSON with more levels."""

_WORDS: Final[dict[type, str]] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}
"""How messages call each type of JSON value."""


async def read_object(request: web.Request) -> dict[str, Any]:
    """Return the body as a JSON object; an empty body is an empty object.

    Raises:
        Problem: 400, the body is not UTF-8 or not a JSON object.
    """
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Problem(
            400, "bad_json", f"the body is not UTF-8: {error.reason} at byte {error.start}"
        ) from None
    return parse_object(text)


def parse_object(text: str) -> dict[str, Any]:
    """Return JSON text as an object.

    Raises:
        Problem: 400, the text is not JSON (NaN and Infinity are not, by RFC 8259), not an object, or nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except ValueError as error:
        raise Problem(400, "bad_json", f"the text is not JSON: {error}") from None
    except RecursionError:
        raise Problem(400, "bad_json", _TOO_DEEP) from None
    if not isinstance(value, dict):
        raise Problem(400, "bad_json", f"{_word_for(value)} is given; a JSON object is expected")
    if _deeper_than(_MAX_DEPTH, value):
        raise Problem(400, "bad_json", _TOO_DEEP)
    return value


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError(f"{literal} is not a finite number")
    return number


def _deeper_than(levels: int, value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(
        _deeper_than(levels - 1, each) for each in inner if isinstance(each, dict | list)
    )


def required(body: dict[str, Any], name: str, kind: type[T]) -> T:
    """Return a field that must be present and, if it is a string, not blank.

    Raises:
        Problem: 400, the field is missing, blank or of another type.
    """
    value = optional(body, name, kind)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Problem(400, "bad_field", f"{name} is missing or empty; {_WORDS[kind]} is expected")
    return value


def optional(body: dict[str, Any], name: str, kind: type[T]) -> T | None:
    """Return a field, or None if it is missing or null.

    Raises:
        Problem: 400, the field is of another type.
    """
    value = body.get(name)
    if value is None:
        return None
    if kind is float and type(value) is int:
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Problem(400, "bad_field", f"{name} is {_word_for(value)}; {_WORDS[kind]} is expected")
    return value


def strings(body: dict[str, Any], name: str) -> list[str]:
    """Return a list of strings, empty if the field is missing or null.

    Raises:
        Problem: 400, the field is anything else.
    """
    values = optional(body, name, list) or []
    for value in values:
        if not isinstance(value, str):
            raise Problem(
                400, "bad_field", f"{name} contains {_word_for(value)}; a list of strings is expected"
            )
    return values


def only(body: dict[str, Any], *names: str) -> None:
    """Refuse unknown fields.

    Raises:
        Problem: 400, with the unknown fields and the allowed ones.
    """
    unknown = sorted(body.keys() - set(names))
    if unknown:
        raise Problem(
            400, "unknown_field", f"unknown field {', '.join(unknown)}; allowed: {', '.join(sorted(names))}"
        )


def _word_for(value: Any) -> str:
    return _WORDS.get(type(value), "null")
