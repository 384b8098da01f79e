"""The reference of all settings, made from the fields of `Settings`."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass

from memmie_gateway.app.settings import Settings


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
    """Return one row for each setting, in the order of the fields."""
    return [
        Row(name.upper(), _written(field.default), _meaning(name, field.description or ""))
        for name, field in Settings.model_fields.items()
    ]


def _meaning(name: str, description: str) -> str:
    annotation = Settings.model_fields[name].annotation
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
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


def as_table(table: list[Row]) -> str:
    """Format the rows for a terminal."""
    width = max(len(row.name) for row in table)
    return "\n".join(
        f"{row.name:<{width}}  {row.default or '-'}\n{'':<{width}}  {row.meaning}" for row in table
    )


def as_markdown(table: list[Row]) -> str:
    """Format the rows as a Markdown table."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    lines += [
        f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {row.meaning} |" for row in table
    ]
    return "\n".join(lines) + "\n"
