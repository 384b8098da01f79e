"""The READMEs name every fault, setting and route there is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from memmie_fake_auth import AuthSettings, FakeAuth
from memmie_fake_base import HTTP_FAULTS
from memmie_fake_studio import FakeStudio, StudioSettings
from memmie_fake_studio.faults import STUDIO_FAULTS

PACKAGES = Path(__file__).parents[2] / "packages"


def readme(package: str) -> str:
    return (PACKAGES / package / "README.md").read_text()


def test_every_fault_and_parameter_is_documented() -> None:
    for name, kind in STUDIO_FAULTS.items():
        text = readme("fake_base" if name in HTTP_FAULTS else "fake_studio")
        # The first such row: `close` is a kind of log entry, too.
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        for field in dataclasses.fields(kind):  # type: ignore[arg-type] # each fault is a dataclass
            assert f"`{field.name}`" in row, (name, field.name)


@pytest.mark.parametrize(
    ("package", "settings"), [("fake_auth", AuthSettings), ("fake_studio", StudioSettings)]
)
def test_every_setting_is_documented_with_its_default(package: str, settings: type) -> None:
    for field in dataclasses.fields(settings):
        (row,) = [
            line
            for line in readme(package).splitlines()
            if line.startswith("| ") and f"`{field.name}`" in line
        ]
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert f"{field.default:.0f}" in row, field.name


@pytest.mark.parametrize(("package", "fake"), [("fake_auth", FakeAuth()), ("fake_studio", FakeStudio())])
def test_every_route_is_documented(package: str, fake: FakeAuth | FakeStudio) -> None:
    text = readme(package)
    for route in fake.routes():
        path = route.path  # type: ignore[attr-defined] # every one is a RouteDef
        assert any(end in text for end in (path, path.replace("/api/v1/books", "…"), *(endings(path)))), path


def endings(path: str) -> list[str]:
    """The README shortens `/api/v1/books/{id}/tree` to `…/{id}/tree`."""
    _, found, rest = path.partition("/{id}")
    return [f"…/{{id}}{rest}"] if found else []
