"""Header fields by name (RFC 9110 §5)."""

from __future__ import annotations

import pytest

from memmie_gateway.core.http.headers import Headers, LineStarts, canonical

HEADERS = Headers(((b"a", b"1, Two"), (b"b", b"x"), (b"a", b""), (b"a", b" ,3\t,, \xe9")))


def test_all_values_in_order() -> None:
    assert HEADERS.all(b"a") == (b"1, Two", b"", b" ,3\t,, \xe9")
    assert HEADERS.all(b"c") == ()


def test_the_fields_stay_as_they_came() -> None:
    assert [name for name, _ in HEADERS.fields] == [b"a", b"b", b"a", b"a"]


@pytest.mark.parametrize(("name", "expected"), [(b"a", "1, Two, ,  ,3\t,, \xe9"), (b"b", "x"), (b"c", "")])
def test_one_joins_the_values(name: bytes, expected: str) -> None:  # §5.3
    assert HEADERS.one(name) == expected


@pytest.mark.parametrize(("name", "expected"), [(b"a", ["1", "Two", "3", "é"]), (b"b", ["x"]), (b"c", [])])
def test_elements_are_those_of_all_values(name: bytes, expected: list[str]) -> None:
    assert HEADERS.elements(name) == expected  # §5.6.1: empty ones do not count


@pytest.mark.parametrize(
    ("name", "element", "expected"),
    [
        pytest.param(b"a", b"two", True, id="in any case"),
        pytest.param(b"a", b"tw", False, id="a part of an element is none"),
        pytest.param(b"a", b"3", True, id="in a later value"),
        pytest.param(b"b", b"x", True, id="the only one"),
        pytest.param(b"b", b"two", False, id="of another field"),
        pytest.param(b"c", b"two", False, id="no such field"),
    ],
)
def test_has(name: bytes, element: bytes, expected: bool) -> None:  # noqa: FBT001 - what the table says
    assert HEADERS.has(name, element) is expected


def test_repr_tells_no_value() -> None:
    assert repr(Headers(((b"authorization", b"Bearer secret"),))) == "<Headers authorization>"


@pytest.mark.parametrize(
    "name",
    [
        "Host", "Sec-WebSocket-Key", "Sec-WebSocket-Accept", "X-Request-ID", "X-User-ID", "X-Real-IP", "User-Agent",
        "WWW-Authenticate", "ETag", "X-B3-Traceid", "traceparent", "tracestate", "X", "-", "X--Y-", "X1a", "Sec-CH-UA-Mobile",
    ],
)  # fmt: skip
def test_the_usual_case_of_a_name(name: str) -> None:
    assert canonical(name.lower().encode()) == name.encode()


def test_the_start_of_a_line() -> None:
    starts = LineStarts((b"x-usual", b"x-both"), dropped=(b"x-dropped", b"x-both"))
    assert (starts[b"x-usual"], starts[b"x-dropped"], starts[b"x-both"]) == (b"X-Usual: ", b"", b"")
    assert starts[b"x-other"] == b"X-Other: "
    assert b"x-other" not in starts, "peers choose names, so they are not remembered"
