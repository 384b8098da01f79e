"""The HTTP routes: which path goes where, and which goes nowhere (spec §1)."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memmie_gateway.core.http.routes import HttpRoute, RouteTable, Service, path_problem

API = HttpRoute.parse("/api=studio:/api")
AUTH = HttpRoute.parse("/auth=auth:/api/v1/auth:open")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/api=studio:/api", ("/api", Service.STUDIO, "/api", True)),
        ("/api/=studio:/v2/:token", ("/api", Service.STUDIO, "/v2", True)),
        ("/auth=auth:/api/v1/auth:open", ("/auth", Service.AUTH, "/api/v1/auth", False)),
        ("/=studio:/", ("", Service.STUDIO, "", True)),
    ],
)
def test_a_route(text: str, expected: tuple[str, Service, str, bool]) -> None:
    assert HttpRoute.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "/api", "api=studio:/api", "/api=studio", "/api=studio:api", "/api=other:/api", "/api=studio:/api:maybe",
        "/a//b=studio:/", "/a/../b=studio:/", "/a=studio:/../b", "/a b=studio:/", "/%61=studio:/",
    ],
)  # fmt: skip
def test_no_route(text: str) -> None:
    with pytest.raises(ValueError, match="is not a route such as"):
        HttpRoute.parse(text)


def test_the_longest_prefix_wins_and_ends_at_a_slash() -> None:
    every, deep = HttpRoute.parse("/=auth:/x"), HttpRoute.parse("/api/v2=studio:/new")
    table = RouteTable([every, API, deep])
    assert table.find("/api/v2/x") is deep
    assert table.find("/api/v2") is deep
    assert table.find("/api/v21") is API
    assert table.find("/api") is API
    assert table.find("/apis") is every
    assert RouteTable([API]).find("/apis") is None
    assert [route.name for route in table.routes] == ["/api/v2", "/api", "/"]
    assert repr(table) == "<RouteTable /api/v2, /api, />"


@pytest.mark.parametrize(
    ("route", "path", "expected"),
    [
        ("/api=studio:/api", "/api/v1/x%20y;z", "/api/v1/x%20y;z"),
        ("/api=studio:/", "/api/v1", "/v1"),
        ("/api=studio:/", "/api", "/"),
        ("/=studio:/", "/", "/"),
        ("/=studio:/base", "/x", "/base/x"),
        ("/auth=auth:/api/v1/auth:open", "/auth/login", "/api/v1/auth/login"),
    ],
)
def test_the_path_at_the_service(route: str, path: str, expected: str) -> None:
    assert HttpRoute.parse(route).path_for(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/auth/validate", "/auth/validate/", "/auth/VALIDATE", "/auth/%76alidate", "/auth/%2576alidate", "/auth/validate;x=1",
        "/auth/validate%20", "/auth/validate%2F", "/auth/valid%61te",
        "/auth/validate%23x", "/auth/validate%3fx", "/auth/validate%0c", "/auth/validate;x/;y",
    ],
)  # fmt: skip
def test_validate_is_hidden_however_it_is_spelled(path: str) -> None:
    assert AUTH.hides(path)
    assert HttpRoute.parse("/=auth:/").hides("/api/v1" + path)


def test_nothing_else_is_hidden() -> None:
    assert not AUTH.hides("/auth/login")
    assert not AUTH.hides("/auth/validated")
    assert not HttpRoute.parse("/auth=studio:/api/v1/auth").hides("/auth/validate")


@pytest.mark.parametrize(
    "path",
    [
        "/api/../secret", "/api/..", "/api/./x", "/api/.", "/..", "/api/%2e%2e/secret", "/api/%2E%2E", "/api/.%2e/x", "/api/%2e",
        "/api/%252e%252e/x", "/api/%25252e%25252e/x", "/api/..%2fsecret", "/api/..%5csecret", "/api/x%2f..%2fy", "/api/..;/x",
        "/api/..;a=b/x", "/api//x", "//api", "/api/", "/api/x%2f%2fy", "/api\\x", "/api/x%5cy", "/api/x%255cy", "/api/x%00", "/api/x%0d%0ay",
        "/api/x%250ay", "/api/a%2eb", "/api/;/x", "/api/;a=b/x", "/api/%3bx/y", "/;/api",
    ],
)  # fmt: skip
def test_traversal(path: str) -> None:
    assert bool(path_problem(path)) is (path != "/api/")


@pytest.mark.parametrize(
    "path",
    [
        "/api/a..b",
        "/api/...",
        "/api/x%20y",
        "/api/%zz%",
        "/api/a%2Fb",
        "/api/~x;v=1.2",
        "/api/ä%C3%A4",
        "/api/%23x/%3Fy",
        "/api/x/;v",
    ],
)
def test_other_paths_are_forwarded(path: str) -> None:
    assert path_problem(path) == ""


@given(st.text(alphabet="/.\\%25efEF;a", max_size=24))
def test_no_way_to_decode_a_path_that_is_forwarded_leaves_its_prefix(tail: str) -> None:
    path = f"/api/{tail}"
    if path_problem(path):
        return
    for text in (path, unquote(path), unquote(unquote(path)), unquote(unquote(unquote(path)))):
        assert not {".", ".."} & set(text.replace("\\", "/").split("/"))
