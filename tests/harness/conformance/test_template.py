from __future__ import annotations

import pytest

from memmie_harness.conformance import template


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{PORT}", "8000"),
        ("a{PORT}b{PORT}", "a8000b8000"),
        ("{{PORT}", "{PORT}"),
        ("{{{PORT}", "{8000"),
        ("server { listen {PORT}; }", "server { listen 8000; }"),
        ('{"a": {"b": "{PORT}"}}', '{"a": {"b": "8000"}}'),
        ("$HOME ${port} {port} {}", "$HOME ${port} {port} {}"),
    ],
)
def test_only_named_placeholders_are_replaced(text: str, rendered: str) -> None:
    assert template.render(text, {"PORT": "8000"}) == rendered


def test_what_is_replaced_is_not_read_again() -> None:
    assert template.render("{PORT}", {"PORT": "{AUTH_URL}", "AUTH_URL": "x"}) == "{AUTH_URL}"


def test_names() -> None:
    assert template.names_in("{PORT} {{CONFIG} {port} {X_1}") == {"PORT", "X_1"}
    assert template.known("STUDIO_ADDRESS_12")
    assert not template.known("STUDIO_ADDRESS_0")
    assert not template.known("STUDIO_ADDRESS_123")
