"""Request heads (RFC 9110, RFC 9112)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.http.headers import Fields
from memmie_gateway.core.http.request import MAX_QUERY_FIELDS, BadRequestError, Request

ENCODE = "the URL has characters that must be percent-encoded"


def parse(target: bytes, version: str = "1.1", fields: Fields = ()) -> Request:
    return Request.parse(b"GET", target, version, fields)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        pytest.param(b"/ws", "/ws", "", id="§3.2.1 origin form"),
        pytest.param(b"/ws?", "/ws", "", id="empty query"),
        pytest.param(b"/ws?a=1&b;&&a=%C3%A9+b", "/ws", "a=1&b;&&a=%C3%A9+b", id="a query is not decoded"),
        pytest.param(b"/ws?a=%FF&b=%", "/ws", "a=%FF&b=%", id="nor must it decode to UTF-8"),
        pytest.param(b"/ws?a=1?b=/c", "/ws", "a=1?b=/c", id="only the first question mark parts"),
        pytest.param(b"/%77s", "/%77s", "", id="a path is not decoded"),
        pytest.param(b"//other/ws", "//other/ws", "", id="two slashes are a path, no host"),
        pytest.param(b"/http://other/ws", "/http://other/ws", "", id="a path like a URL"),
        pytest.param(b"http://host/ws?a=1", "/ws", "a=1", id="§3.2.2 absolute form"),
        pytest.param(b"WSS://user@host:1/ws", "/ws", "", id="absolute form, scheme in capitals"),
        pytest.param(b"ws://host", "/", "", id="absolute form without a path"),
        pytest.param(b"https://host?a=/ws", "/", "a=/ws", id="a slash in the query begins no path"),
    ],
)
def test_targets(target: bytes, path: str, query: str) -> None:
    request = parse(target)
    assert (path, query) == (request.path, request.query)


@pytest.mark.parametrize(
    ("target", "version", "message"),
    [
        (b"*", "1.1", "the request target must be a path"),  # §3.2.4, of OPTIONS
        (b"host:443", "1.1", "the request target must be a path"),  # §3.2.3, of CONNECT
        (b"", "1.1", "the request target must be a path"),
        (b"ftp://host/ws", "1.1", "the request target must be a path"),
        (b"http:///ws", "1.1", "the request target must be a path"),  # RFC 9110 §4.2.1: no host
        (b"/\xff", "1.1", ENCODE),
        (b"/ws?a=\xc3\xa9", "1.1", ENCODE),
        (b"/ws?a=\r\nX-User-ID: root", "1.1", ENCODE),
        (b"/ws?a b", "1.1", ENCODE),
        (b"/ws?a=\x7f", "1.1", ENCODE),
        (b"/ws?a=1#b", "1.1", ENCODE),  # clients send no fragment
        (b"/auth/validate#b", "1.1", ENCODE),  # the path was compared with it, and sent on without it
        (b"http://host/auth/validate#?a=1", "1.1", ENCODE),
        (
            b"/ws?" + b"&".join([b"a=1"] * (MAX_QUERY_FIELDS + 1)),
            "1.1",
            "the URL has more than 100 query fields",
        ),
        (b"/ws?" + b"a=1;b&" * 50 + b"c", "1.1", "the URL has more than 100 query fields"),
        (b"/ws", "0.9", "only HTTP/1.1 is spoken here"),
        (b"/ws", "2.0", "only HTTP/1.1 is spoken here"),
    ],
)
def test_bad_targets(target: bytes, version: str, message: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(target, version)
    assert message == str(caught.value)


def test_as_many_query_fields_as_allowed() -> None:
    assert parse(b"/?" + b"&".join([b"a=1"] * MAX_QUERY_FIELDS)).query.count("a=1") == MAX_QUERY_FIELDS


@settings(max_examples=100, deadline=None)
@given(target=st.binary(max_size=60) | st.text("/?&=%;:#+aF0", max_size=40).map(str.encode))
def test_any_target_is_read_or_refused(target: bytes) -> None:
    try:
        request = parse(target)
    except BadRequestError:
        return
    assert request.path.startswith("/")
    assert "?" not in request.path


def test_repr_tells_neither_query_nor_headers() -> None:
    request = parse(b"/ws?token=SECRET", fields=((b"authorization", b"Bearer SECRET"),))
    assert repr(request) == "<Request GET /ws>"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((), False),
        (((b"content-length", b"0"),), False),
        (((b"content-length", b"5"),), True),
        (((b"content-length", b"0"), (b"content-length", b"0")), True),
        (((b"transfer-encoding", b"chunked"),), True),
    ],
)
def test_whether_a_body_follows(fields: Fields, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert Request.parse(b"POST", b"/", "1.1", fields).has_body is expected


@pytest.mark.parametrize("target", [b"http://[::1/x", b"http://a]b/x", b"http://[x]/", b"http://[::1]x/"])
def test_brackets_are_for_ipv6_addresses(target: bytes) -> None:
    with pytest.raises(BadRequestError, match="the request target must be a path"):
        Request.parse(b"GET", target, "1.1", ())


@pytest.mark.parametrize("target", [b"http://[::1]/x", b"http://[::1]:80/x", b"ws://a:80/x", b"HTTPS://a/x"])
def test_absolute_targets(target: bytes) -> None:
    assert Request.parse(b"GET", target, "1.1", ()).path == "/x"
