"""Settings and their reference: every variable is there, and the pages that are read off the code are up to date."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from memmie_gateway import Settings
from memmie_gateway.app.reference import GROUPS, groups, rows
from memmie_gateway.core.outcomes import Cause

GENERATE = Path(__file__).parents[2] / "docs" / "generate.py"

# Spec §7, with the defaults it names.
SPECIFIED = {
    "WEBSOCKET_ENABLED": "true",
    "STUDIO_WS_URLS": "ws://localhost:8010/ws",
    "WS_TIMEOUT_SECONDS": "300",
    "MAX_CONNECTIONS_PER_IP": "10",
    "MAX_CONNECTIONS_PER_USER": "5",
    "AUTH_URL": "http://localhost:8001",
    "HOST": "0.0.0.0",
    "PORT": "8000",
    "LB_STRATEGY": "sticky",
    "TRUSTED_PROXIES": "",
    "ALLOWED_ORIGINS": None,
    "MAX_MESSAGE_BYTES": "1048576",
    "MESSAGE_RATE_PER_USER": None,
    "CONNECT_RATE_PER_IP": None,
    "DRAIN_SECONDS": None,
}


@pytest.mark.parametrize(("name", "default"), SPECIFIED.items())
def test_every_variable_of_the_spec_exists_with_its_default(name: str, default: str | None) -> None:
    [row] = [row for row in rows() if row.name == name]

    assert default in (None, row.default)


def test_every_variable_has_a_meaning_and_seconds_and_bytes_say_so() -> None:
    for row in rows():
        assert row.meaning.endswith((".", "503.", "1008.")), row.name
        if row.name.endswith("_SECONDS"):
            assert "time in seconds" in row.meaning.lower(), row.name
        if row.name.endswith("_BYTES"):
            assert "bytes" in row.meaning.lower(), row.name


def test_each_variable_is_in_one_group() -> None:
    assert list(groups()) == list(GROUPS.values())
    assert [row for group in groups().values() for row in group] == rows()


def test_the_written_default_of_each_variable_is_its_default() -> None:
    environment = {row.name: row.default for row in rows()}

    assert Settings.from_env(environment) == Settings()


def test_of_the_environment_only_known_and_non_empty_variables_count() -> None:
    assert Settings.from_env({"PATH": "/bin", "PORT": "", "OTHER": "x"}) == Settings()


@pytest.mark.parametrize("name", ["closing", "connect", "incidents", "metrics", "spec", "upgrading"])
def test_every_setting_and_metric_that_a_page_names_exists(name: str) -> None:
    text, metrics = ((GENERATE.parent / f"{page}.md").read_text() for page in (name, "metrics"))

    assert set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)\b", text)) <= {row.name for row in rows()}
    named = set(re.findall(r"`(?:rate\(|increase\()?(gateway_[a-z_]+)", text))
    assert named <= set(re.findall(r"^\| `([a-z_]+)`", metrics, re.MULTILINE))


def test_the_page_for_upgrading_has_the_defaults_of_new_behaviour() -> None:
    page = (GENERATE.parent / "upgrading.md").read_text()
    table = page.partition("| off | metric | log line |")[2].partition("\n\n")[0]
    cells = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()[2:]]
    told = {name: line[3].strip("`") for line in cells for name in re.findall(r"^`([A-Z_]+)`", line[2])}

    assert len(told) > 15
    assert told.pop("HEALTH_PATH") == "path of the URL + `/health"  # the default is empty, which means this
    assert told == {row.name: row.default for row in rows() if row.name in told}


def test_every_cause_has_a_code_of_its_own() -> None:
    codes = [cause.ending.code for cause in Cause]

    assert len(codes) == len(set(codes)) == len(Cause.__members__)


@pytest.mark.parametrize("name", ["settings.md", "closing.md"])
def test_the_generated_pages_are_up_to_date(name: str) -> None:
    [expected] = [
        text for path, text in runpy.run_path(str(GENERATE))["pages"]().items() if path.name == name
    ]

    assert (GENERATE.parent / name).read_text(encoding="utf-8") == expected, "run `nox -s docs`"
