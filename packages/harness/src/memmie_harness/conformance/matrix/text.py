"""Showing text that a stranger wrote: no character of it may change what is around it."""

from __future__ import annotations

import re
from typing import Final

_MARKDOWN: Final = re.compile(r"[\\`*_\[\]<>&|~#@$^!]|(?<=:)/|(?<=www)\.")


def visible(text: str) -> str:
    r"""Return a text on one line, in which each character that cannot be seen is escaped as in Python.

    These are control characters, such as those that clear a terminal, and the marks that change the direction of writing.

    >>> visible("one\nline \u202eback")
    'one\\nline \\u202eback'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def shortened(text: str, most: int) -> str:
    """Return a text without what is after its first `most` characters.

    >>> shortened("12345", 3)
    '123…'
    """
    return text if len(text) <= most else f"{text[:most]}…"


def markdown(text: str) -> str:
    r"""Return a text for a cell or a line of a Markdown page: no character of it is markup.

    >>> print(markdown("a|b <i>"))
    a\|b \<i\>
    """
    return _MARKDOWN.sub(r"\\\g<0>", visible(text))


def with_code(title: str) -> list[tuple[str, bool]]:
    """Return the parts of a title, and of each whether it is code, which titles have between backticks.

    >>> with_code("`Host` is kept")
    [('Host', True), (' is kept', False)]
    """
    parts = title.split("`")
    if len(parts) % 2 == 0 or not all(parts[1::2]):
        return [(title, False)]
    return [(part, bool(number % 2)) for number, part in enumerate(parts) if part]


def markdown_title(title: str) -> str:
    """Return a title for a cell of a Markdown page; nothing but its code is markup."""
    return "".join(
        f"`{visible(part).replace('|', chr(92) + '|')}`" if is_code else markdown(part)
        for part, is_code in with_code(title)
    )
