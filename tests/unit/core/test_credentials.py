"""Where a token may be (spec §1), and that nothing of it is left elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.credentials import MAX_TOKEN_LENGTH, Credentials, find_credentials, plausible
from memmie_gateway.core.request import Request


def request(
    *, query: str = "", authorization: tuple[str, ...] = (), protocol: tuple[str, ...] = ()
) -> Request:
    headers = [(b"authorization", value.encode("latin-1")) for value in authorization]
    headers += [(b"sec-websocket-protocol", value.encode("latin-1")) for value in protocol]
    return Request.parse(b"GET", f"/ws?{query}".encode(), "1.1", tuple(headers))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(request(), Credentials(None), id="nowhere"),
        pytest.param(request(authorization=("Bearer T",)), Credentials("T"), id="Authorization"),
        pytest.param(request(authorization=("bEARER   T ",)), Credentials("T"), id="scheme in any case, blanks"),
        pytest.param(request(authorization=("Basic T",)), Credentials(None), id="another scheme"),
        pytest.param(request(authorization=("Bearer",)), Credentials(None), id="scheme alone"),
        pytest.param(request(authorization=("Bearer  ",)), Credentials(None), id="scheme and blanks"),
        pytest.param(request(authorization=("Basic X", "Bearer T")), Credentials("T"), id="second Authorization"),
        pytest.param(request(protocol=("bearer, T",)), Credentials("T", (), "bearer"), id="pair"),
        pytest.param(request(protocol=("bearer", "T")), Credentials("T", (), "bearer"), id="pair in two fields"),
        pytest.param(
            request(protocol=("Bearer, T",)), Credentials("T", (), "Bearer"), id="pair, answered as it was spelled"
        ),
        pytest.param(
            request(protocol=("v1, bearer, T, v2",)), Credentials("T", ("v1", "v2"), "bearer"), id="pair among others"
        ),
        pytest.param(request(protocol=("bearer",)), Credentials(None, (), "bearer"), id="half a pair"),
        pytest.param(
            request(protocol=("v1, bearer",)), Credentials(None, ("v1",), "bearer"), id="half a pair among others"
        ),
        pytest.param(
            request(protocol=("bearer, T, bearer, U",)), Credentials("T", (), "bearer"), id="two pairs, both taken out"
        ),
        pytest.param(request(protocol=("T",)), Credentials("T"), id="lone"),
        pytest.param(request(protocol=("v1, v2",)), Credentials(None, ("v1", "v2")), id="two subprotocols"),
        pytest.param(request(query="token=T"), Credentials("T"), id="query"),
        pytest.param(request(query="token=&token=T&token=U"), Credentials("T"), id="first query field with a value"),
        pytest.param(request(query="token=T%2B%3D"), Credentials("T+="), id="query, decoded"),
        pytest.param(request(query="Token=T"), Credentials(None), id="query names have a case"),
        pytest.param(
            request(authorization=("Bearer A",), protocol=("bearer, P",), query="token=Q"),
            Credentials("A", (), "bearer"),
            id="Authorization wins",
        ),
        pytest.param(
            request(protocol=("bearer, P",), query="token=Q"), Credentials("P", (), "bearer"), id="pair before query"
        ),
        pytest.param(request(protocol=("v1",), query="token=Q"), Credentials("Q", ("v1",)), id="query before lone"),
        pytest.param(
            request(authorization=("Bearer T",), protocol=("T, v1",)), Credentials("T", ("v1",)), id="sent twice"
        ),
    ],
)  # fmt: skip
def test_the_first_place_that_has_a_token_wins(asked: Request, expected: Credentials) -> None:
    assert expected == find_credentials(asked)


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (("v1",), Credentials(None, ("v1",))),
        (("bearer, T",), Credentials("T", (), "bearer")),
        ((), Credentials(None)),
    ],
)
def test_a_lone_subprotocol_is_one_where_the_token_is_still_to_come(
    protocol: tuple[str, ...], expected: Credentials
) -> None:
    assert expected == find_credentials(request(protocol=protocol), first_message=True)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("a.b-c_d~e+f/g=", True),
        ("!", True),
        ("x" * MAX_TOKEN_LENGTH, True),
        ("x" * (MAX_TOKEN_LENGTH + 1), False),
        ("", False),
        ("two words", False),
        ("T\n", False),
        ("T\r\nX-User-ID: root", False),
        ("é", False),
        ("\x7f", False),
        ("\ud800", False),
    ],
)
def test_plausible(token: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert expected is plausible(token)


def test_a_token_never_shows_in_a_repr() -> None:
    credentials = find_credentials(
        request(authorization=("Bearer SECRET",), protocol=("SECRET, bearer, SECRET",))
    )
    assert credentials.token == "SECRET"
    assert "SECRET" not in repr(credentials)


@settings(max_examples=100, deadline=None)
@given(
    authorization=st.lists(st.text(st.characters(max_codepoint=255)), max_size=2),
    protocol=st.lists(st.text(st.characters(max_codepoint=255)), max_size=2),
)
def test_any_headers_are_read(authorization: list[str], protocol: list[str]) -> None:
    asked = request(authorization=tuple(authorization), protocol=tuple(protocol))
    credentials = find_credentials(asked)
    assert credentials.token not in credentials.subprotocols
    assert credentials.token != ""
