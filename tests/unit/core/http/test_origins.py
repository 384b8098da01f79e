"""Origins are compared as origins: scheme, host and port (RFC 6454 §4, RFC 6455 §10.2)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.origins import Origin, Origins


def allowed(origins: tuple[bytes, ...], patterns: tuple[str, ...]) -> bool:
    return Origins(patterns).allow(Headers(tuple((b"origin", value) for value in origins)))


@pytest.mark.parametrize(
    ("origins", "patterns", "expected"),
    [
        ((), (), True),
        ((b"https://a.example",), (), False),
        ((b"https://a.example",), ("*",), True),
        ((b"null",), ("https://a.example",), False),
        ((b"null",), ("null",), True),
        ((b"https://A.example",), ("https://b.example", "HTTPS://a.Example"), True),
        ((b"http://a.example",), ("https://a.example",), False),
        ((b"https://a.example:444",), ("https://a.example",), False),
        ((b"https://a.example:444",), ("https://a.example:444",), True),
        ((b"https://x.a.example",), ("https://*.a.example",), True),
        ((b"https://x.y.a.example",), ("https://*.a.example",), True),
        ((b"https://a.example",), ("https://*.a.example",), False),
        ((b"https://evila.example",), ("https://*.a.example",), False),
        ((b"http://x.a.example",), ("https://*.a.example",), False),
        ((b"https://x.a.example.evil",), ("https://*.a.example",), False),
        ((b"https://x.a.example:1",), ("https://*.a.example",), False),
        ((b"\xff",), ("https://a.example",), False),
    ],
)
def test_origins(
    origins: tuple[bytes, ...],
    patterns: tuple[str, ...],
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert expected is allowed(origins, patterns)


@pytest.mark.parametrize(
    ("origin", "pattern"),
    [
        ("https://a.example:443", "https://a.example"),
        ("https://a.example", "https://a.example:443"),
        ("http://a.example:80", "http://a.example"),
        ("https://x.a.example:443", "https://*.a.example"),
        ("https://x.a.example:8443", "https://*.a.example:8443"),
        ("http://[0:0::1]:80", "http://[::1]"),
        ("app://.", "app://."),
        ("chrome-extension://abc", "chrome-extension://abc"),
        ("capacitor://localhost:1", "capacitor://localhost:1"),
    ],
)
def test_the_same_origin_spelled_in_another_way(origin: str, pattern: str) -> None:
    assert allowed((origin.encode(),), (pattern,))


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test/.a.example", "https://evil.test?.a.example", "https://evil.test#.a.example",
        "https://evil.test:443@x.a.example", "https://evil@x.a.example", "https://evil.test\\.a.example",
        "https://evil.test:1.a.example", "https://evil.test:.a.example", "https://.a.example", "https://x..a.example",
        "https:// x.a.example", "https://x.a.example ", "https://x.a.example/", "https://x.a.example:", "https://*.a.example",
        "https://x.a.example, https://y.a.example", "https://evil.test%2F.a.example", "https:/x.a.example",
        "https://[::1].a.example", "https://[::1]:1:1", "https://[1::2::3]", "x.a.example", "https://x.a.example.",
    ],
)  # fmt: skip
def test_a_wildcard_stands_for_labels_of_a_host_and_nothing_else(origin: str) -> None:
    assert not allowed((origin.encode(),), ("https://*.a.example", "https://b.example"))


def test_two_origins_are_none() -> None:
    good = b"https://a.example"
    assert not allowed((good, good), ("https://a.example",))
    assert not allowed((b"https://evil.test", good), ("https://a.example",))
    assert not allowed((b"",), ("https://a.example",))


@pytest.mark.parametrize(
    "text",
    [
        "", "a.example", "*.a.example", "https://", "https://a.example/", "https://a b", "https://a.example:x", "https://ü",
        "https://user@a", "https://a*.b", "https://*", "https://[::1", "https://[:::]", "null", "*", "https://a.example:123456",
    ],
)  # fmt: skip
def test_what_is_not_an_origin(text: str) -> None:
    assert Origin.parse(text) is None


@settings(max_examples=200, deadline=None)
@given(origin=st.text("htps:/.xa*@?#[]1 ", max_size=24))
def test_no_other_text_passes_for_an_origin(origin: str) -> None:
    text = f"https://{origin}.a.example"
    if allowed((text.encode(),), ("https://*.a.example",)):
        assert set(origin) <= set("htpsxa1.")
        assert all(origin.split("."))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((b"https://evil.test:8443",), "ALLOWED_ORIGINS does not allow pages of https://evil.test:8443"),
        ((b"null",), "ALLOWED_ORIGINS does not allow pages of null"),
        ((b"https://" + b"a" * 200,), f"ALLOWED_ORIGINS does not allow pages of https://{'a' * 92}"),
        ((b"https://x\x1b[31m",), "the header Origin is not one origin"),
        ((b"https://a", b"https://b"), "the header Origin is not one origin"),
    ],
)
def test_the_log_names_the_origin_and_the_setting(values: tuple[bytes, ...], words: str) -> None:
    assert str(Origins.refusal(Headers(tuple((b"origin", value) for value in values)))) == words


def test_repr_tells_how_many() -> None:
    assert repr(Origins(["*"])) == "<Origins every>"
    assert repr(Origins(["null", "https://a.example"])) == "<Origins 2>"
