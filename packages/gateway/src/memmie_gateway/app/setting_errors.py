"""Messages about invalid settings; they repeat no credentials."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from memmie_gateway.net.http1.url import without_secrets


class SettingsError(ValueError):
    """Invalid settings; the message has one line for each variable."""


def why_no_network(text: str) -> str:
    """Return why a text is not a network, and which network is probably meant."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "is not a network such as 10.0.0.0/8"
    address = text.partition("/")[0]
    return f"is not a network: {address} is not the first address of {network}. Did you mean {network}?"


_EXPECTED = {
    "bool_parsing": "must be true or false",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
}
"""Our words for an expected value, by pydantic's type of the error."""


def explain(
    error: ValidationError, values: Mapping[str, str], fields: Mapping[str, FieldInfo]
) -> SettingsError:
    """Return an error with one line for each invalid variable: the value given, the value expected, and the meaning.

    Args:
        error: what pydantic found.
        values: the values given, by field.
        fields: the fields of the settings, by name.
    """
    lines = []
    for problem in error.errors(include_input=False):
        field_name = str(problem["loc"][0]) if problem["loc"] else ""
        name = field_name.upper() or "settings"
        field = fields.get(field_name)
        message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        message = _EXPECTED.get(problem["type"], message)
        end = "" if message.endswith("?") else "."
        meaning = f" Meaning of {name}: {field.description}" if field is not None else ""
        lines.append(f"{name}={without_secrets(values.get(field_name, ''))!r}: {message}{end}{meaning}")
    return SettingsError("\n".join(lines))
