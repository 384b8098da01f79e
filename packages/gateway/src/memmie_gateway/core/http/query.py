"""Queries of URLs: their fields are found and removed, and all other bytes stay as they are.

A query may be signed, so decoding and encoding it again would break it. Servers differ in how they read a query, so a
field that must not pass is found in every way in which a server may read it: fields end at `&` and at `;`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote, unquote_plus

_SEPARATORS: Final = re.compile("([&;])")

_DOTNET: Final = re.compile(r"%u00(?=[0-9a-f]{2})", re.IGNORECASE)

_USER_ID: Final = re.compile(
    r"""[\s\0]*
        (?: user [_.\s] id (?: [\s\0]* | \[.* | \0.* )   # user_id, user.id, user_id[], user_id and a zero byte
          | user \[ id [\s\0]* )                         # user[id
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
"""All names that some server reads as `user_id`: in any case, with blanks around, or as PHP reads them."""


def decode(text: str) -> str:
    """Return the decoded name or value of a field; bytes that are not UTF-8 are replaced."""
    return unquote_plus(text) if "%" in text or "+" in text else text


def fields(query: str) -> Iterator[tuple[str, str]]:
    """Yield the decoded names and values, in order; the value of a field without `=` is ""."""
    for field in query.replace(";", "&").split("&"):
        name, _, value = field.partition("=")
        yield decode(name), decode(value)


def without(query: str, drop: Callable[[str, str], bool]) -> str:
    """Return a query without some fields; its other bytes are unchanged.

    Args:
        query: the query.
        drop: gets the name and the value of each field, not decoded, and tells whether to drop the field.
    """
    pieces = _SEPARATORS.split(query)  # the fields, with the separators between them
    kept: list[str] = []
    for at in range(0, len(pieces), 2):
        name, _, value = pieces[at].partition("=")
        if not drop(name, value):
            kept += pieces[at - 1 : at + 1] if kept else pieces[at : at + 1]
    return "".join(kept)


def means_user_id(name: str) -> bool:
    """Tell whether some server would read a name, not decoded, as `user_id`; also if it is encoded twice."""
    if "%" in name or "+" in name:
        name = unquote(unquote_plus(_DOTNET.sub("%", name)))
    return _USER_ID.fullmatch(name) is not None


def equals(text: str, secret: str) -> bool:
    """Tell whether a text is a secret, percent-encoded or not, in quotes or not; no text equals an empty one."""
    bare = text.strip('"')
    if not secret:
        return False
    if bare == secret:
        return True
    if "%" not in bare and "+" not in bare:
        return False
    return secret in (unquote(bare).strip('"'), unquote_plus(bare).strip('"'))
