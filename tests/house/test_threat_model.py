"""The threat model names tests that exist, and settings with their defaults."""

from __future__ import annotations

import re
from pathlib import Path

from memmie_gateway.app.reference import rows

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")


def test_every_test_that_it_names_exists() -> None:
    named = set(re.findall(r"`((?:net|integration|unit|fuzz)/[\w/]+\.py)`", PAGE))
    assert len(named) > 30
    assert [name for name in sorted(named) if not (ROOT / "tests" / name).is_file()] == []


def test_every_threat_has_a_control_and_a_test() -> None:
    threats = 0
    for table in PAGE.split("| threat | control | test |\n|---|---|---|\n")[1:]:
        for row in table.split("\n\n")[0].splitlines():
            _, threat, control, test, _ = row.split("|")
            assert threat.strip()
            assert control.strip()
            assert ".py`" in test
            threats += 1
    assert threats > 40


def test_every_default_that_it_names_is_right() -> None:
    defaults = {row.name: row.default or "empty" for row in rows()}
    named = re.findall(r"`([A-Z_]{4,})` \(`?([^`)]+?)`?(?:, off)?\)", PAGE)
    assert len(named) > 30
    assert [(name, shown) for name, shown in named if defaults[name] != shown] == []
