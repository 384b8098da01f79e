"""The reference of all settings, made from the fields of `Settings`."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass

from memmie_gateway.app.settings import Settings

GROUPS = {
    "HOST": "Clients and requests",
    "AUTH_URL": "Auth and tokens",
    "STUDIO_WS_URLS": "Backends",
    "MAX_CONNECTIONS_PER_IP": "Limits",
    "WS_TIMEOUT_SECONDS": "Live connections",
    "LOG_FORMAT": "Log",
    "HTTP_ROUTES": "HTTP",
}
"""The heading of each group of settings, by the first setting of the group; the groups are shown in this order."""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting.

    Attributes:
        name: The variable.
        default: The default, as it would be written in the environment.
        meaning: One or two sentences, with the unit.
    """

    name: str
    default: str
    meaning: str

    def as_dict(self) -> dict[str, str]:
        """Return the fields as a dict."""
        return asdict(self)


def rows() -> list[Row]:
    """Return one row for each setting, in the order of the groups."""
    return [row for group in groups().values() for row in group]


def groups() -> dict[str, list[Row]]:
    """Return the rows by the heading of their group."""
    found: dict[str, list[Row]] = {heading: [] for heading in GROUPS.values()}
    for name, field in Settings.model_fields.items():
        row = Row(name.upper(), _written(field.default), _meaning(name, field.description or ""))
        if row.name in GROUPS:
            group = found[GROUPS[row.name]]
        group.append(row)
    return found


def _meaning(name: str, description: str) -> str:
    annotation = Settings.model_fields[name].annotation
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        if all(f"`{member.value}`" in description for member in annotation):
            return description
        return f"{description} One of {', '.join(f'`{member.value}`' for member in annotation)}."
    return description


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, enum.Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_table() -> str:
    """Format all rows for a terminal."""
    width = max(len(row.name) for row in rows())
    return "\n\n".join(
        "\n".join(
            [heading]
            + [
                f"  {row.name:<{width}}  {row.default or '-'}\n  {'':<{width}}  {row.meaning}"
                for row in group
            ]
        )
        for heading, group in groups().items()
    )


def as_markdown() -> str:
    """Format all rows as Markdown, with a table for each group."""
    return "\n".join(
        f"## {heading}\n\n| variable | default | meaning |\n|---|---|---|\n" + "".join(map(_line, group))
        for heading, group in groups().items()
    )


def _line(row: Row) -> str:
    return f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {row.meaning} |\n"
