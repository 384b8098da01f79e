"""docs/conformance.md names every offer, every placeholder and every field of a profile."""

from __future__ import annotations

import argparse
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from memmie_harness.conformance import template
from memmie_harness.conformance.catalogue import GROUPS
from memmie_harness.conformance.matrix.comparison import Kind
from memmie_harness.conformance.model import Level, Outcome
from memmie_harness.conformance.offers import OFFERS
from memmie_harness.conformance.profile import Start
from memmie_harness.conformance.profile_file import profile_of
from memmie_harness.kit_options import add_conformance

PAGE = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text()

PAGE_OF_THE_MATRIX = Path(__file__).parents[3] / "docs" / "conformance-matrix.md"

KINDS = {bool: "true", int: "number", float: "number", str: "text"}


def options() -> set[str]:
    """Return the options of `memmie conformance` and of its commands."""
    parser = argparse.ArgumentParser()
    add_conformance(parser.add_subparsers())
    found: set[str] = set()
    waiting = [parser]
    while waiting:
        for action in waiting.pop()._actions:
            found.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                waiting += action.choices.values()
    return found - {"-h", "--help"}


def test_the_table_of_offers_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (true|number|text) \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [(name, KINDS[offer.kind], offer.meaning) for name, offer in OFFERS.items()]


def test_the_examples_are_valid_profiles() -> None:
    examples = [text for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "\nname = " in text]
    assert [profile_of(tomllib.loads(text), Path("gw.toml")).name for text in examples] == [
        "my-gateway",
        "my-proxy",
    ]


@pytest.mark.parametrize("name", ["name", "title", "version", "known_version"])
def test_every_field_of_a_profile_is_explained(name: str) -> None:
    assert re.search(rf"^\| `{name}`", PAGE, re.MULTILINE)


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


@pytest.mark.parametrize("name", sorted(options()))
def test_every_option_is_explained(name: str) -> None:
    assert re.search(rf"(^|[ `]){name}[ `\n]", PAGE, re.MULTILINE)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_change_is_explained(kind: str) -> None:
    assert f"\n| {kind} |" in PAGE


def test_the_matrix_in_the_docs_is_of_this_kit() -> None:
    """Its rows are groups, and it has the command that writes it."""
    page = PAGE_OF_THE_MATRIX.read_text()
    rows = re.findall(r"^\| ([^|`*]+) \| [✓✗!–]", page, re.MULTILINE)  # noqa: RUF001 - as it is
    assert rows
    assert set(rows) <= {group.title for group in GROUPS}
    assert "memmie conformance --all --markdown docs/conformance-matrix.md" in page
