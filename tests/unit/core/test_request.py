"""Request heads and the gateway's own answers (RFC 9110, RFC 9112)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.headers import Fields
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.request import (
    MAX_QUERY_FIELDS,
    BadRequestError,
    Request,
    http_response,
    refusal,
)


def parse(target: bytes, version: str = "1.1", fields: Fields = ()) -> Request:
    return Request.parse(b"GET", target, version, fields)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        pytest.param(b"/ws", "/ws", (), id="§3.2.1 origin form"),
        pytest.param(b"/ws?", "/ws", (), id="empty query"),
        pytest.param(b"/ws?a=1&b=2&a=3", "/ws", (("a", "1"), ("b", "2"), ("a", "3")), id="fields in order"),
        pytest.param(b"/ws?a", "/ws", (("a", ""),), id="field without a value"),
        pytest.param(b"/ws?&a=&&", "/ws", (("a", ""),), id="empty fields"),
        pytest.param(b"/ws?a=%C3%A9+b", "/ws", (("a", "é b"),), id="decoded"),
        pytest.param(b"/ws?a=1;b=2", "/ws", (("a", "1;b=2"),), id="a semicolon parts nothing"),
        pytest.param(b"/ws?a=1?b=/c", "/ws", (("a", "1?b=/c"),), id="only the first question mark parts"),
        pytest.param(b"/%77s", "/%77s", (), id="a path is not decoded"),
        pytest.param(b"//other/ws", "//other/ws", (), id="two slashes are a path, no host"),
        pytest.param(b"/http://other/ws", "/http://other/ws", (), id="a path like a URL"),
        pytest.param(b"http://host/ws?a=1", "/ws", (("a", "1"),), id="§3.2.2 absolute form"),
        pytest.param(b"WSS://user@host:1/ws", "/ws", (), id="absolute form, scheme in capitals"),
        pytest.param(b"ws://host", "/", (), id="absolute form without a path"),
        pytest.param(b"https://host?a=/ws", "/", (("a", "/ws"),), id="a slash in the query begins no path"),
    ],
)
def test_targets(target: bytes, path: str, query: tuple[tuple[str, str], ...]) -> None:
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
        (b"/\xff", "1.1", "the URL is not UTF-8 text"),
        (b"/ws?a=%FF", "1.1", "the URL is not UTF-8 text"),
        (b"/ws?%C3=1", "1.1", "the URL is not UTF-8 text"),
        (b"/ws?a=%ED%A0%80", "1.1", "the URL is not UTF-8 text"),  # half a surrogate pair
        (
            b"/ws?" + b"&".join([b"a=1"] * (MAX_QUERY_FIELDS + 1)),
            "1.1",
            "the URL has more than 100 query fields",
        ),
        (b"/ws", "0.9", "only HTTP/1.1 is spoken here"),
        (b"/ws", "2.0", "only HTTP/1.1 is spoken here"),
    ],
)
def test_bad_targets(target: bytes, version: str, message: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(target, version)
    assert message == str(caught.value)


def test_as_many_query_fields_as_allowed() -> None:
    assert len(parse(b"/?" + b"&".join([b"a=1"] * MAX_QUERY_FIELDS)).query) == MAX_QUERY_FIELDS


@settings(max_examples=100, deadline=None)
@given(target=st.binary(max_size=60) | st.text("/?&=%;:#+aF0", max_size=40).map(str.encode))
def test_any_target_is_read_or_refused(target: bytes) -> None:
    try:
        request = parse(target)
    except BadRequestError:
        return
    assert request.path.startswith("/")
    assert "?" not in request.path


@pytest.mark.parametrize(
    ("target", "names", "expected"),
    [
        (b"/", ("token",), ""),
        (b"/?token=T", ("token",), ""),
        (b"/?a=1&token=T&b=2&token=U", ("token",), "a=1&b=2"),
        (b"/?a=1&%74oken=T", ("token",), "a=1"),
        (b"/?a=%26token%3DT&b=%0D%0A", ("token",), "a=%26token%3DT&b=%0D%0A"),
        (b"/?a=1;user_id=2&user_id=3", ("token", "user_id"), "a=1%3Buser_id%3D2"),
        (b"/?tokens=1&TOKEN=2", ("token",), "tokens=1&TOKEN=2"),
    ],
)
def test_query_without(target: bytes, names: tuple[str, ...], expected: str) -> None:
    assert expected == parse(target).query_without(*names)


def test_repr_tells_neither_query_nor_headers() -> None:
    request = parse(b"/ws?token=SECRET", fields=((b"authorization", b"Bearer SECRET"),))
    assert repr(request) == "<Request GET /ws>"


# Answers.


def read(answer: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    fields = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
    assert ("content-length", str(len(body))) in fields
    assert ("connection", "close") in fields
    return status, fields, body


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause.ending.status])
def test_a_refusal_says_what_its_row_says(cause: Cause) -> None:
    ending = cause.ending
    status, fields, body = read(refusal(cause))
    names = [name for name, _ in fields]
    assert status.startswith(f"HTTP/1.1 {ending.status} ")
    assert {"error": ending.words, "code": ending.code} == json.loads(body)
    assert ending.retry is ("retry-after" in names)
    assert (ending.status == 401) is ("www-authenticate" in names)  # RFC 9110 §15.5.2
    assert (ending.status == 426) is ("upgrade" in names)  # RFC 9110 §15.5.22
    assert (ending.status == 426) is (("connection", "Upgrade") in fields)  # RFC 9110 §7.8
    assert (ending.status == 426) is (("sec-websocket-version", "13") in fields)  # RFC 6455 §4.4


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "1"), (0.2, "1"), (1, "1"), (1.1, "2"), (2.5, "3"), (59.9, "60")]
)
def test_retry_after_is_never_too_early(seconds: float, expected: str) -> None:
    _, fields, _ = read(refusal(Cause.CONNECT_RATE, retry_after=seconds))
    assert expected == dict(fields)["retry-after"]


def test_detail_replaces_the_words_of_the_row() -> None:
    status, fields, body = read(refusal(Cause.TOKEN_REFUSED, 'say "no"\r\nX-Evil: 1 é'))
    assert status == "HTTP/1.1 401 Unauthorized"
    assert dict(fields)["www-authenticate"] == "Bearer"
    assert "x-evil" not in dict(fields)
    assert json.loads(body) == {"error": 'say "no"\r\nX-Evil: 1 é', "code": "token_invalid"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (499, b"HTTP/1.1 499 \r\n"),  # RFC 9112 §4: the phrase may be empty, its blank may not be missing
    ],
)
def test_http_response(status: int, expected: bytes) -> None:
    assert http_response(status, b"hi", "text/plain", "X-A: 1\r\n") == expected + (
        b"Content-Type: text/plain\r\nContent-Length: 2\r\nCache-Control: no-store\r\n"
        b"Connection: close\r\nX-A: 1\r\n\r\nhi"
    )
