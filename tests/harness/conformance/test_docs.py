"""docs/conformance.md names every offer, every placeholder and every field of a profile."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from memmie_harness.conformance import template
from memmie_harness.conformance.model import Level, Outcome
from memmie_harness.conformance.offers import OFFERS
from memmie_harness.conformance.profile import Start

PAGE = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text()

KINDS = {bool: "true", int: "number", float: "number", str: "text"}


def test_the_table_of_offers_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (true|number|text) \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [(name, KINDS[offer.kind], offer.meaning) for name, offer in OFFERS.items()]


@pytest.mark.parametrize("name", template.FIXED)
def test_every_placeholder_is_explained(name: str) -> None:
    assert f"`{{{name}}}`" in PAGE


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Start) if field.name not in {"folder", "ready"}]
)
def test_every_field_of_start_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("word", [*Level, *Outcome])
def test_every_level_and_outcome_is_explained(word: str) -> None:
    assert f"| `{word}` |" in PAGE
