"""Names of settings may be written in any case; if several spellings are set, the documented one counts."""

from __future__ import annotations

import pytest

from memmie_gateway.app.settings import Settings


@pytest.mark.parametrize(
    ("environment", "port"),
    [
        ({"port": "1"}, 1),
        ({"PORT": "1", "port": "2"}, 1),
        ({"port": "2", "PORT": "1", "Port": "3"}, 1),
        ({"port": "2", "PORT": ""}, 2),  # empty is not set
    ],
)
def test_the_name_in_capital_letters_counts(environment: dict[str, str], port: int) -> None:
    assert Settings.from_env(environment).port == port
