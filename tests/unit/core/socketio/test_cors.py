"""The header fields for web pages of other origins."""

from __future__ import annotations

import pytest

from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.socketio.cors import cors_lines


def headers(*origins: bytes) -> Headers:
    return Headers(tuple((b"origin", origin) for origin in origins))


@pytest.mark.parametrize("origins", [(), (b"https://a", b"https://b")])
def test_without_one_origin_there_are_none(origins: tuple[bytes, ...]) -> None:
    assert cors_lines(headers(*origins), every=True) == ""


def test_a_page_that_is_listed_may_send_cookies() -> None:
    assert cors_lines(headers(b"https://a"), every=True) == "Access-Control-Allow-Origin: *\r\n"
    listed = "Access-Control-Allow-Origin: https://a\r\nVary: Origin\r\n"
    assert (
        cors_lines(headers(b"https://a"), every=False)
        == listed + "Access-Control-Allow-Credentials: true\r\n"
    )
    assert "Credentials" not in cors_lines(headers(b"null"), every=False)
