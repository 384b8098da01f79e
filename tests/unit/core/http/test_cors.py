"""What pages may do with the HTTP routes (the Fetch standard)."""

from __future__ import annotations

import pytest

from memmie_gateway.core.http.cors import Page, is_preflight, page_of, preflight_fields
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.origins import Origins
from memmie_gateway.core.http.request import Request

EVERY = Origins(["*"])
LIST = Origins(["https://app.test", "https://*.example.org", "null"])


def asked(origins: Origins, *given: str) -> Page:
    return page_of(origins, Headers(tuple((b"origin", origin.encode()) for origin in given)))


def of(page: Page) -> dict[str, str]:
    return {name: value for name, value in page.fields if name != "Access-Control-Expose-Headers"}


@pytest.mark.parametrize("origin", ["https://evil.test", "null"])
def test_under_a_star_it_is_the_literal_star_without_credentials(origin: str) -> None:
    page = asked(EVERY, origin)
    assert page.allowed
    assert of(page) == {"Access-Control-Allow-Origin": "*"}
    assert asked(EVERY) == page, "the same without an origin, because a cache may keep the answer for a page"


def test_an_origin_of_the_list_is_named_and_gets_credentials() -> None:
    page = asked(LIST, "https://x.example.org")
    assert page.allowed
    assert of(page) == {
        "Access-Control-Allow-Origin": "https://x.example.org",
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }
    assert "Retry-After" in dict(page.fields)["Access-Control-Expose-Headers"]


def test_null_gets_no_credentials() -> None:
    assert of(asked(LIST, "null")) == {"Access-Control-Allow-Origin": "null", "Vary": "Origin"}


@pytest.mark.parametrize("given", [["https://evil.test"], ["https://app.test", "https://app.test"]])
def test_another_origin_or_several_are_not_allowed(given: list[str]) -> None:
    assert asked(LIST, *given) == (False, (("Vary", "Origin"),))


def test_without_an_origin_a_request_is_allowed() -> None:
    assert asked(LIST) == (True, (("Vary", "Origin"),)), "a cache must not give this answer to a page"


@pytest.mark.parametrize(
    ("method", "names", "expected"),
    [
        (b"OPTIONS", [b"origin", b"access-control-request-method"], True),
        (b"OPTIONS", [b"origin"], False),
        (b"OPTIONS", [b"access-control-request-method"], False),
        (b"POST", [b"origin", b"access-control-request-method"], False),
    ],
)
def test_a_preflight(method: bytes, names: list[bytes], *, expected: bool) -> None:
    request = Request.parse(method, b"/api", "1.1", tuple((name, b"x") for name in names))
    assert is_preflight(request) is expected


def test_the_answer_to_a_preflight_names_what_a_page_needs() -> None:
    fields = dict(preflight_fields(("GET", "POST")))
    assert fields["Access-Control-Allow-Methods"] == "GET, POST"
    assert fields["Access-Control-Allow-Headers"] == "authorization, content-type"
