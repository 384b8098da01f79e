"""The types of settings."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _split(value: Any) -> Any:
    """Return the elements of a list with commas; any other value as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""What is written as a list with commas."""

Seconds = Annotated[float, Field(ge=0, le=7 * 86400)]
PositiveSeconds = Annotated[float, Field(gt=0, le=86400)]
Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
