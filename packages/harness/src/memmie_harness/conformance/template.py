"""Templates of commands, environments and configuration files: only named placeholders are replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_PATTERN: Final = re.compile(r"\{\{|\{([A-Z][A-Z0-9_]*)\}")

FIXED: Final = (
    *("AUTH_URL", "AUTH_ADDRESS", "STUDIO_WS_URLS", "STUDIO_ADDRESSES"),
    *("PORT", "TLS_PORT", "TLS_CERT", "TLS_KEY", "CONFIG", "FOLDER", "PROGRAM"),
)
"""The placeholders that every template can use; `STUDIO_ADDRESS_1`, `STUDIO_PORT_1` and so on name single Studios."""


def known(name: str) -> bool:
    """Tell whether this is the name of a placeholder."""
    return name in FIXED or re.fullmatch(r"STUDIO_(ADDRESS|PORT)_[1-9][0-9]?", name) is not None


def names_for(studios: int) -> list[str]:
    """Return the names of all placeholders of a gateway with so many Studios."""
    numbered = [f"STUDIO_{part}_{number + 1}" for part in ("ADDRESS", "PORT") for number in range(studios)]
    return [*FIXED, *numbered]


def names_in(template: str) -> set[str]:
    """Return the names of the placeholders in a template, known or not."""
    return {match[1] for match in _PATTERN.finditer(template) if match[1]}


def render(template: str, values: Mapping[str, str]) -> str:
    """Replace each `{NAME}` by its value, and `{{` by a brace; every other character stays.

    Args:
        template: the text.
        values: the values by name.

    Raises:
        KeyError: a placeholder has no value.

    >>> render("./gw --auth {AUTH_URL} --json {'a': {{PORT}}", {"AUTH_URL": "http://a"})
    "./gw --auth http://a --json {'a': {PORT}}"
    """
    return _PATTERN.sub(lambda match: values[match[1]] if match[1] else "{", template)
