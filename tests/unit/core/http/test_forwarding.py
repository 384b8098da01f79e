"""What a backend is told of a request: the target, the gateway's own fields, and which of the client's pass."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.handshakes import CLIENT, FORGED, TRACE, Values, arrival, read_fields, request

from memmie_gateway.core.http import forwarding
from memmie_gateway.core.http.arrival import traceparent
from memmie_gateway.core.http.credentials import Credentials, find_credentials
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.request import Request


def target(asked: Request, user_id: str = "u1", *, path: str = "/ws", query: str = "") -> str:
    return forwarding.target(path, query, user_id, find_credentials(asked))


def passed(asked: Request, *, trace: str = TRACE, dropped: frozenset[bytes] = forwarding.NEVER) -> Values:
    """Return what passes, by name."""
    lines = forwarding.passed_fields(arrival(asked, trace=trace), find_credentials(asked), dropped)
    by_name: Values = {}
    for name, value in read_fields(lines):
        by_name[name] = (*by_name.get(name, ()), value)
    return by_name


# The target.


@pytest.mark.parametrize(
    ("client_target", "query", "user_id", "expected"),
    [
        (b"/ws", "", "u1", "/ws?user_id=u1"),
        (b"/ws", "pool=a", "u1", "/ws?pool=a&user_id=u1"),
        (b"/ws?user_id=root&a=1&user%5Fid=root", "", "u1", "/ws?user_id=u1&a=1"),
        (b"/ws?a=1;user_id=root", "", "u1", "/ws?user_id=u1&a=1%3Buser_id%3Droot"),
        (b"/ws?a=%0d%0aX-User-ID:+root", "", "u1", "/ws?user_id=u1&a=%0D%0AX-User-ID%3A+root"),
        (b"/ws", "", "a&b=c", "/ws?user_id=a%26b%3Dc"),
        (b"/ws", "", "é ü/+%", "/ws?user_id=%C3%A9%20%C3%BC%2F%2B%25"),
        (b"/other?token=T", "", "u1", "/ws?user_id=u1"),
    ],
)
def test_the_target(client_target: bytes, query: str, user_id: str, expected: str) -> None:
    assert expected == target(request(target=client_target), user_id, query=query)


@pytest.mark.parametrize(
    ("client_target", "expected"),
    [
        (b"/", ""),
        (b"/?token=T", ""),
        (b"/?a=1&token=T&b=2&token=U", "&a=1&b=2"),
        (b"/?a=1&%74oken=T", "&a=1"),
        (b"/?a=%26token%3DT&b=%0D%0A", "&a=%26token%3DT&b=%0D%0A"),
        (b"/?a=1;user_id=2&user_id=3", "&a=1%3Buser_id%3D2"),
        (b"/?tokens=1&TOKEN=2", "&tokens=1&TOKEN=2"),
    ],
)
def test_the_clients_query_without_token_and_user(client_target: bytes, expected: str) -> None:
    assert target(request(target=client_target), path="/") == f"/?user_id=u1{expected}"


@settings(max_examples=100, deadline=None)
@given(
    user_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    query=st.lists(
        st.tuples(
            st.sampled_from(["user_id", "token", "a"]), st.text(st.characters(exclude_categories=["Cs"]))
        ),
        max_size=4,
    ),
)
def test_any_target_names_one_user(user_id: str, query: list[tuple[str, str]]) -> None:
    made = forwarding.target("/ws", "user=x", user_id, Credentials("T", query=tuple(query)))
    assert made.isascii()
    assert made.isprintable()
    assert " " not in made
    assert [("user", "x"), ("user_id", user_id), *[field for field in query if field[0] != "user_id"]] == (
        parse_qsl(made.partition("?")[2], keep_blank_values=True)
    )


# The user.


@pytest.mark.parametrize(
    ("user_id", "expected"),
    [
        ("u1", "u1"),
        ("a@b.c/d~e'f\"g,h", "a@b.c/d~e'f\"g,h"),
        ("é", "%C3%A9"),
        ("%C3%A9", "%25C3%25A9"),
        (" u1", "%20u1"),
        ("a b", "a%20b"),
        ("a\r\nb", "a%0D%0Ab"),
    ],
)
def test_user_header(user_id: str, expected: str) -> None:
    assert expected == forwarding.user_header(user_id)


@settings(max_examples=100, deadline=None)
@given(user_id=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_user_header_names_one_user_alone(user_id: str) -> None:
    header = forwarding.user_header(user_id)
    assert user_id == unquote(header)
    assert all("\x21" <= character <= "\x7e" for character in header)


# The gateway's own fields.


def test_the_gateways_own_fields() -> None:
    assert forwarding.own_fields(arrival(request()), "é") == (
        "x-user-id: %C3%A9\r\n"
        "x-forwarded-for: 192.0.2.1, 10.0.0.1\r\n"
        "x-forwarded-proto: http\r\n"
        "x-forwarded-host: gateway:8000\r\n"
        "x-request-id: id-1\r\n"
        f"traceparent: {TRACE}"
    )


@pytest.mark.parametrize(
    ("trusted", "sent", "proto", "host"),
    [
        pytest.param(False, {}, "http", "gateway:8000", id="a client"),
        pytest.param(
            False,
            {b"x-forwarded-proto": (b"https",), b"x-forwarded-host": (b"evil",)},
            "http",
            "gateway:8000",
            id="an untrusted peer's word",
        ),
        pytest.param(True, {}, "http", "gateway:8000", id="a proxy that says nothing"),
        pytest.param(
            True,
            {b"x-forwarded-proto": (b"https",), b"x-forwarded-host": (b"app.example",)},
            "https",
            "app.example",
            id="a proxy",
        ),
        pytest.param(
            True,
            {b"x-forwarded-proto": (b"http, https",), b"x-forwarded-host": (b"evil", b"app.example")},
            "https",
            "app.example",
            id="the last element is the trusted proxy's own",
        ),
        pytest.param(
            True,
            {b"x-forwarded-proto": (b" , ",), b"x-forwarded-host": (b"",)},
            "http",
            "gateway:8000",
            id="empty",
        ),
    ],
)
def test_scheme_and_host_are_a_trusted_proxys_or_the_gateways_own(
    trusted: bool,  # noqa: FBT001 - a column of the table
    sent: Values,
    proto: str,
    host: str,
) -> None:
    client = CLIENT._replace(trusted_peer=trusted)
    own = dict(
        read_fields(
            forwarding.own_fields(arrival(request(sent), client=client), "u1").encode().split(b"\r\n")
        )
    )
    assert own[b"x-forwarded-proto"] == proto.encode()
    assert own[b"x-forwarded-host"] == host.encode()


# What passes.


def test_fields_pass_as_they_came_and_in_their_order() -> None:
    asked = request({b"cookie": (b"a=1", b"b=2"), b"x-a": (b"\xe9",), b"sec-fetch-mode": (b"",)})
    lines = forwarding.passed_fields(arrival(asked), find_credentials(asked), forwarding.NEVER)
    assert lines[:2] == [
        b"sec-websocket-version: 13",
        b"sec-websocket-key: " + request().headers.all(b"sec-websocket-key")[0],
    ]
    assert lines[2:] == [b"cookie: a=1", b"cookie: b=2", b"x-a: \xe9", b"sec-fetch-mode: "]


def test_the_caller_may_drop_more() -> None:
    asked = request({b"x-a": (b"1",), b"x-b": (b"2",)})
    assert passed(asked, dropped=forwarding.NEVER | {b"x-a"}).keys() >= {b"x-b"}
    assert b"x-a" not in passed(asked, dropped=forwarding.NEVER | {b"x-a"})


@pytest.mark.parametrize("name", [name for name in FORGED if name != b"content-length"])
def test_a_forged_header_does_not_pass(name: bytes) -> None:
    """That a body is announced is for the caller to deny: a request that is not a handshake may have one."""
    assert name not in passed(request({name: (b"FORGED", b"FORGED2")}))


@pytest.mark.parametrize("name", sorted(forwarding.NEVER))
def test_what_never_passes(name: bytes) -> None:
    assert name not in passed(request({name: (b"upgrade, websocket",)}))


@pytest.mark.parametrize("name", [b"user_id", b"x_a", b"_", b"sec_websocket_key"])
def test_a_name_with_an_underscore_does_not_pass(name: bytes) -> None:
    assert name not in passed(request({name: (b"1",)}))


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ((), set()),
        ((b"Upgrade",), set()),
        ((b"Upgrade, X-Secret",), {b"upgrade", b"x-secret"}),
        ((b"x-secret", b"upgrade"), {b"upgrade", b"x-secret"}),
        ((b"upgrade,x-secret,X-User-ID,\xe9",), {b"upgrade", b"x-secret", b"x-user-id", b"\xe9"}),
        ((b"keep-alive",), {b"keep-alive"}),
        ((b"upgrade, Sec-WebSocket-Key, sec-websocket-accept",), {b"upgrade"}),
    ],
)
def test_nominated(connection: tuple[bytes, ...], expected: set[bytes]) -> None:  # RFC 9110 §7.6.1
    assert expected == forwarding.nominated(Headers(tuple((b"connection", value) for value in connection)))


@pytest.mark.parametrize(
    "connection",
    [(b"Upgrade, X-Secret",), (b"x-secret", b"upgrade"), (b"upgrade,x-secret,X-User-ID,\xe9",)],
)
def test_nominated_fields_do_not_pass(connection: tuple[bytes, ...]) -> None:
    asked = request({b"connection": connection, b"x-secret": (b"S",), b"x-other": (b"O",)})
    assert b"x-secret" not in passed(asked)
    assert passed(asked)[b"x-other"] == (b"O",)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [((TRACE.encode(),), True), ((b"00-bad",), False), ((), False), ((b"00-bad", TRACE.encode()), True)],
)
def test_a_tracestate_goes_with_its_traceparent(
    sent: tuple[bytes, ...],
    kept: bool,  # noqa: FBT001 - a column of the table
) -> None:
    asked = request({b"traceparent": sent, b"tracestate": (b"a=1",)})
    assert kept is (b"tracestate" in passed(asked, trace=traceparent(asked, 5)))
