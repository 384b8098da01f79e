"""Messages about invalid settings: whatever somebody wrote, no credential is repeated."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from memmie_gateway.app.setting_errors import SettingsError
from memmie_gateway.app.settings import Settings
from memmie_gateway.net.backends.backend import BackendUrl
from memmie_gateway.net.http1.url import without_secrets


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("http://auth:8001", "http://auth:8001"),
        ("http://user:S/CRET@auth", "http://***@auth"),
        ("user:SECRET@host", "***@host"),
        ("http://user:S?C#RET@auth", "http://***@auth"),
        ("u:SE//CRET@host", "***@host"),
        ("?key=SECRET", "?key=***"),
        ("ws://a/ws?SECRET&x=SECRET&", "ws://a/ws?***&x=***&"),
        ("ws://a/ws#SECRET", "ws://a/ws#***"),
        ("ws://u:S,CRET@h/ws, ws://b/ws?key=SE,CRET,ws://c/ws", "ws://***@h/ws, ws://b/ws?key=***,ws://c/ws"),
        ("@", "***@"),
        ("8000", "8000"),
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        "AUTH_URL",
        "STUDIO_WS_URLS",
        "ALLOWED_ORIGINS",
        "TRUSTED_PROXIES",
        "HEALTH_PATH",
        "HEALTH_CHECK",
        "PORT",
    ],
)
def test_no_credential_survives_in_a_message(name: str, written: str, shown: str) -> None:
    assert without_secrets(written) == shown
    message = ""
    try:
        Settings.from_env({name: written})  # a few are valid for some
    except SettingsError as error:
        message = str(error)
    assert message.startswith(f"{name}={shown!r}: " if message else "")
    assert "CRET" not in message


@pytest.mark.parametrize("written", ["http://user:SECRET@auth", "user:SECRET@auth", "http://auth?key=SECRET"])
def test_none_survives_in_an_error_of_python_code(written: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Settings(auth_url=written)
    assert "SECRET" not in str(raised.value)


def test_the_invalid_one_of_several_urls_is_named() -> None:
    with pytest.raises(
        SettingsError, match=r"^STUDIO_WS_URLS='ws://a/ws,http://b/ws': URL number 2: this is not "
    ):
        Settings.from_env({"STUDIO_WS_URLS": "ws://a/ws,http://b/ws"})


def test_a_url_does_not_show_its_secrets() -> None:
    url = BackendUrl.parse("ws://studio:8010/ws?key=SECRET")
    assert (url.query, url.shown) == ("key=SECRET", "ws://studio:8010/ws?key=***")
    assert "SECRET" not in repr(url)
