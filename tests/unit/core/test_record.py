"""Records: values with slots, in which fields are compared and replaced like those of a dataclass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memmie_gateway.core.record import record


@record
class Place:
    """A record."""

    name: str
    floor: int = 0


def test_records_with_equal_fields_are_equal() -> None:
    assert Place("kitchen") == Place("kitchen", 0) != Place("kitchen", 1)


def test_a_field_is_replaced_in_a_copy() -> None:
    kitchen = Place("kitchen")
    assert replace(kitchen, floor=1) == Place("kitchen", 1)
    assert kitchen.floor == 0


def test_a_record_has_slots() -> None:
    with pytest.raises(AttributeError):
        setattr(Place("kitchen"), "colour", "red")  # noqa: B010 - type checkers refuse an assignment


def test_a_record_shows_its_fields() -> None:
    assert "kitchen" in repr(Place("kitchen"))
