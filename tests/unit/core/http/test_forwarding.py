"""What a backend is told of a request: the target, the gateway's own fields, and which of the client's pass."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, unquote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.handshakes import CLIENT, FORGED, TRACE, USER_ID, Values, arrival, read_fields, request

from memmie_gateway.core.http import forwarding
from memmie_gateway.core.http.arrival import traceparent
from memmie_gateway.core.http.credentials import Credentials, find_credentials
from memmie_gateway.core.http.forwarding import RequestLineStarts
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.http.response import Response


def target(asked: Request, user_id: str = "u1", *, path: str = "/ws", query: str = "") -> str:
    return forwarding.target(path, query, user_id, find_credentials(asked))


STARTS = RequestLineStarts(frozenset())


def passed(
    asked: Request,
    *,
    trace: str = TRACE,
    starts: RequestLineStarts = STARTS,
    credentials: Credentials | None = None,
) -> Values:
    """Return what passes, by name."""
    found = find_credentials(asked) if credentials is None else credentials
    lines = forwarding.passed_fields(arrival(asked, trace=trace), found, starts)
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
        (b"/ws?a=1;user_id=root", "", "u1", "/ws?user_id=u1&a=1"),
        (b"/ws?a=%0d%0aX-User-ID:+root", "", "u1", "/ws?user_id=u1&a=%0d%0aX-User-ID:+root"),
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
        (b"/?a=%26token%3dT&b=%0D%0a", "&a=%26token%3dT&b=%0D%0a"),
        (b"/?a=1;user_id=2&user_id=3", "&a=1"),
        (b"/?a=1;token=T;b=2", "&a=1;b=2"),
        (b"/?tokens=1&TOKEN=2", "&tokens=1&TOKEN=2"),
        (
            b"/?x=x%20y&y=x+y&flag&t=12:30&r=%F6&c=%c3%a9&e=&&q='\"|",
            "&x=x%20y&y=x+y&flag&t=12:30&r=%F6&c=%c3%a9&e=&&q='\"|",
        ),
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
        ).filter(lambda field: field[1] != "T"),
        max_size=4,
    ),
)
def test_any_target_names_one_user(user_id: str, query: list[tuple[str, str]]) -> None:
    made = forwarding.target("/ws", "user=x", user_id, Credentials("T", query=urlencode(query)))
    assert made.isascii()
    assert made.isprintable()
    assert " " not in made
    assert [("user", "x"), ("user_id", user_id), *[field for field in query if field[0] != "user_id"]] == (
        parse_qsl(made.partition("?")[2], keep_blank_values=True)
    )


@pytest.mark.parametrize("name", USER_ID)
@pytest.mark.parametrize("around", ["{}=root", "a=1&{}=root&b=2", "a=1;{}=root;b=2", "{}", "{}=;{}=root"])
def test_no_spelling_of_user_id_passes(name: str, around: str) -> None:
    made = target(request(target=f"/ws?{around.replace('{}', name)}".encode()))
    assert made == "/ws?user_id=u1" + {"a": f"&a=1{around[3:4]}b=2"}.get(around[0], "")


@pytest.mark.parametrize(
    "copy",
    [
        "a=S+1/",
        "a=S%2B1%2f",
        "S+1/",
        "S+1/=x",
        "S%2B1/",
        "x;a=S+1/",
        'a="S+1/"',
        "a=%53+1/&&a=S+1/",
        "a=Bearer%20S%2B1/",
        "a=Bearer+S%2B1/",
    ],
)
def test_a_query_field_that_is_the_token_does_not_pass(copy: str) -> None:
    asked = request({b"authorization": (b"Bearer S+1/",)}, target=f"/ws?b=S+1&{copy}&c=S+1/2".encode())
    made = target(asked)
    assert made.replace("&&", "&").replace("&x", "") == "/ws?user_id=u1&b=S+1&c=S+1/2"


def test_a_query_passes_whole_where_no_token_was_found() -> None:
    assert forwarding.target("/", "", "u1", Credentials(None, query="a=&b")) == "/?user_id=u1&a=&b"


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
        "X-User-ID: %C3%A9\r\n"
        "X-Real-IP: 192.0.2.1\r\n"
        "X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n"
        "X-Forwarded-Proto: http\r\n"
        "X-Forwarded-Host: gateway:8000\r\n"
        "X-Request-ID: id-1\r\n"
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
        pytest.param(
            True,
            {b"x-forwarded-proto": (b"<b>",), b"x-forwarded-host": (b"evil/x",)},
            "http",
            "gateway:8000",
            id="invalid",
        ),
    ],
)
def test_scheme_and_host_are_a_trusted_proxys_or_the_gateways_own(
    trusted: bool,  # noqa: FBT001 - a column of the table
    sent: Values,
    proto: str,
    host: str,
) -> None:
    client = replace(CLIENT, trusted_peer=trusted)
    own = dict(
        read_fields(
            forwarding.own_fields(arrival(request(sent), client=client), "u1").encode().split(b"\r\n")
        )
    )
    assert own[b"x-forwarded-proto"] == proto.encode()
    assert own[b"x-forwarded-host"] == host.encode()


@pytest.mark.parametrize(
    ("chain", "hops", "told", "proto"),
    [
        pytest.param("192.0.2.1, 10.0.0.2, 10.0.0.1", b"192.0.2.1, 10.0.0.2", b"https, http", "https", id="of the client"),
        pytest.param(
            "192.0.2.1, 10.0.0.2, 10.0.0.1", b"6.6.6.6, 192.0.2.1, 10.0.0.2", b"ftp, https, http", "https",
            id="not what the client says of another",
        ),
        pytest.param("192.0.2.1, 10.0.0.2, 10.0.0.1", b"192.0.2.1, 10.0.0.2", b"https", "https", id="shorter"),
        pytest.param("192.0.2.1, 10.0.0.2, 10.0.0.1", b"192.0.2.1, 10.0.0.2", b"ftp, wss, https", "https", id="longer"),
        pytest.param("192.0.2.1, 10.0.0.1", b"6.6.6.6, 192.0.2.1", b"ftp, https", "https", id="one proxy"),
        pytest.param("10.0.0.1", b"garbage, more garbage", b"ftp, https", "https", id="no hop is known"),
    ],
)  # fmt: skip
def test_what_lists_of_one_length_say_about_the_client(
    chain: str, hops: bytes, told: bytes, proto: str
) -> None:
    client = replace(CLIENT, chain=chain, trusted_peer=True)
    hosts = told.replace(b",", b".test,") + b".test"
    sent: Values = {b"x-forwarded-for": (hops,), b"x-forwarded-proto": (told,), b"x-forwarded-host": (hosts,)}
    lines = forwarding.own_fields(arrival(request(sent), client=client), "u1").encode().split(b"\r\n")
    own = dict(read_fields(lines))
    assert own[b"x-forwarded-proto"] == proto.encode()
    assert own[b"x-forwarded-host"] == f"{proto}.test".encode()


@pytest.mark.parametrize("trusted", [True, False])
def test_port_and_prefix_of_a_trusted_proxy_pass(trusted: bool) -> None:  # noqa: FBT001 - a parameter
    sent: Values = {
        b"x-forwarded-port": (b"8443",),
        b"x-forwarded-prefix": (b"/app",),
        b"x-forwarded-user": (b"root",),
    }
    client = replace(CLIENT, trusted_peer=trusted)
    own = forwarding.own_fields(arrival(request(sent), client=client), "u1")
    assert trusted is ("\r\nX-Forwarded-Port: 8443\r\nX-Forwarded-Prefix: /app\r\n" in own)
    assert "root" not in own
    assert not [name for name in passed(request(sent)) if name.startswith(b"x-forwarded")]


@pytest.mark.parametrize(
    "host", [b"a", b"a.b-c_d:1", b"127.0.0.1:65535", b"[::1]", b"[2001:DB8::1.2.3.4]:80"]
)
def test_a_host(host: bytes) -> None:
    assert forwarding.is_host(host)


@pytest.mark.parametrize(
    "host", [b"", b":80", b"a b", b"a,b", b"a/b", b"a@b", b"a:", b"a:1:2", b"[a", b"[g]", b"a\n", b"\xe9"]
)
def test_no_host(host: bytes) -> None:
    assert not forwarding.is_host(host)


# What passes.


def test_fields_pass_as_they_came_and_in_their_order() -> None:
    asked = request({b"cookie": (b"a=1", b"b=2"), b"x-a": (b"\xe9",), b"sec-fetch-mode": (b"",)})
    lines = forwarding.passed_fields(arrival(asked), find_credentials(asked), STARTS)
    assert lines[:2] == [
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + request().headers.all(b"sec-websocket-key")[0],
    ]
    assert lines[2:] == [b"Cookie: a=1", b"Cookie: b=2", b"X-A: \xe9", b"Sec-Fetch-Mode: "]


def test_the_caller_may_drop_more() -> None:
    asked = request({b"x-a": (b"1",), b"x-b": (b"2",)})
    fewer = passed(asked, starts=RequestLineStarts(frozenset({b"x-a"})))
    assert b"x-a" not in fewer
    assert b"x-b" in fewer


@pytest.mark.parametrize("name", [name for name in FORGED if name != b"content-length"])
def test_a_forged_header_does_not_pass(name: bytes) -> None:
    """That a body is announced is for the caller to deny: a request that is not a handshake may have one."""
    assert name not in passed(request({name: (b"FORGED", b"FORGED2")}))


@pytest.mark.parametrize("name", sorted(forwarding.NEVER))
def test_what_never_passes(name: bytes) -> None:
    assert name not in passed(request({name: (b"upgrade, websocket",)}))


@pytest.mark.parametrize(
    "name", [b"user_id", b"x_a", b"_", b"sec_websocket_key", b"x.user.id", b"x~user~id", b"x-user-id'"]
)
def test_a_name_that_some_server_reads_as_another_does_not_pass(name: bytes) -> None:
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
    [
        (b"Upgrade, X-Secret",),
        (b"x-secret", b"upgrade"),
        (b"Upgrade", b"X-Secret"),
        (b"upgrade,x-secret,X-User-ID,\xe9",),
    ],
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
    assert kept is (b"tracestate" in passed(asked, trace=traceparent(asked, bytes([5] * 24))))


@pytest.mark.parametrize(
    ("cookies", "expected"),
    [
        ((b"a=1; s=SECRET+1; b=2",), (b"a=1; b=2",)),
        ((b"s=SECRET+1; a=1",), (b"a=1",)),
        ((b"a=1;s=SECRET+1",), (b"a=1",)),
        ((b's="SECRET+1"; a="1"',), (b'a="1"',)),
        ((b"a=%41; s=SECRET%2B1",), (b"a=%41",)),
        ((b"SECRET+1; a=1",), (b"a=1",)),
        ((b"SECRET+1=x; a=1",), (b"a=1",)),
        ((b"s = SECRET+1 ;  a=1",), (b"a=1",)),
        ((b"s=SECRET+1",), ()),
        ((b'a="Bearer SECRET+1"; b=Bearer%20SECRET%2B1; c=1',), (b"c=1",)),
        ((b"s=SECRET+1", b"a=1"), (b"a=1",)),
        ((b"s=SECRET+12; a=\xe9%",), (b"s=SECRET+12; a=\xe9%",)),
        ((b"a=1;;  b=2; ",), (b"a=1;;  b=2; ",)),
        ((b"",), (b"",)),
    ],
)
def test_a_cookie_that_is_the_token_does_not_pass(
    cookies: tuple[bytes, ...], expected: tuple[bytes, ...]
) -> None:
    asked = request({b"cookie": cookies, b"authorization": (b"Bearer SECRET+1",)})
    assert passed(asked).get(b"cookie", ()) == expected


def test_a_token_that_comes_later_is_found_among_cookies_query_and_fields_too() -> None:
    asked = request(
        {
            b"cookie": (b"s=SECRET; a=1",),
            b"x-key": (b"SECRET",),
            b"x-original-authorization": (b"Bearer SECRET",),
            b"x-a": (b"1",),
        },
        target=b"/ws?k=SECRET&a",
    )
    late = replace(find_credentials(asked), token="SECRET")
    sent = passed(asked, credentials=late)
    assert (sent[b"cookie"], sent[b"x-a"]) == ((b"a=1",), (b"1",))
    assert not {b"x-key", b"x-original-authorization"} & set(sent)
    assert forwarding.target("/ws", "", "u1", late) == "/ws?user_id=u1&a"


def test_copies_of_the_token_of_a_connection_do_not_pass_with_another_token_either() -> None:
    values: Values = {
        b"cookie": (b"a=1; b=T1; c=T2",),
        b"x-key": (b"T1", b"Bearer T1", b"Bearer\tT1", b"T2"),
        b"authorization": (b"Bearer T2",),
    }
    found = find_credentials(request(values, target=b"/ws?a=1&key=T1&token=T2"))
    rest = forwarding.without_copies(found, "T1")
    assert rest.query == "a=1"
    assert passed(request(values), credentials=rest)[b"cookie"] == (b"a=1",)
    assert b"x-key" not in passed(request(values), credentials=rest)


@pytest.mark.parametrize("token", ["S", "X"])
def test_a_copy_of_a_token_with_which_the_first_line_begins_does_not_pass(token: str) -> None:
    values: Values = {
        b"x-key": (token.encode(),),
        b"x-a": (b"1",),
        b"authorization": (f"Bearer {token}".encode(),),
    }
    sent = passed(request(values))
    assert b"x-key" not in sent
    assert sent[b"x-a"] == (b"1",)


@pytest.mark.parametrize("value", [b"SECRET", b"Bearer SECRET", b"Bearer\tSECRET", b"a,  SECRET"])
def test_a_field_that_ends_with_the_token_does_not_pass(value: bytes) -> None:
    fields: Values = {b"x-a": (value,), b"authorization": (b"Bearer SECRET",)}
    assert b"x-a" not in passed(request(fields))
    other = (b"SECRETS", b"SECRET 1")
    assert passed(request({**fields, b"x-a": (*other, value)}))[b"x-a"] == other


def test_cookies_pass_where_no_token_was_found() -> None:
    assert passed(request({b"cookie": (b"s=%41",)}))[b"cookie"] == (b"s=%41",)


@pytest.mark.parametrize(
    ("referer", "expected"),
    [
        (b"https://app.test/x?token=SECRET", b"https://app.test/x"),
        (b"https://app.test/x#token=SECRET", b"https://app.test/x"),
        (b"https://app.test/x?a#b?c", b"https://app.test/x"),
        (b"https://app.test/x", b"https://app.test/x"),
    ],
)
def test_a_referer_loses_its_query(referer: bytes, expected: bytes) -> None:
    assert passed(request({b"referer": (referer,)}))[b"referer"] == (expected,)


def test_a_referer_of_a_query_alone_is_dropped() -> None:
    assert b"referer" not in passed(request({b"referer": (b"?token=SECRET",)}))


# A backend's refusal.


def test_a_refusal_passes_with_its_headers() -> None:
    headers = Headers(
        (
            (b"content-type", b"application/json; charset=utf-8"),
            (b"retry-after", b"5"),
            (b"www-authenticate", b'Basic realm="x"'),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"x-studio_reason", b"\xe9"),
            (b"cache-control", b"no-cache"),
            (b"connection", b"keep-alive, x-hop"),
            (b"x-hop", b"1"),
            (b"keep-alive", b"timeout=5"),
            (b"transfer-encoding", b"chunked"),
            (b"upgrade", b"h2c"),
            (b"proxy-authenticate", b"Basic"),
            (b"content-length", b"99"),
            (b"x-request-id", b"the backend's"),
        )
    )
    assert forwarding.passed_answer(Response(403, headers, b'{"detail":"banned"}'), "id-1") == (
        b"HTTP/1.1 403 Forbidden\r\n"
        b"Content-Length: 19\r\n"
        b"Connection: close\r\n"
        b"X-Request-ID: id-1\r\n"
        b"Content-Type: application/json; charset=utf-8\r\n"
        b"Retry-After: 5\r\n"
        b'WWW-Authenticate: Basic realm="x"\r\n'
        b"Set-Cookie: a=1\r\n"
        b"Set-Cookie: b=2\r\n"
        b"X-Studio_reason: \xe9\r\n"
        b"Cache-Control: no-cache\r\n"
        b"\r\n"
        b'{"detail":"banned"}'
    )


def test_a_refusal_gets_no_content_type_and_is_not_cached() -> None:
    assert forwarding.passed_answer(Response(499, Headers()), "id-1") == (
        b"HTTP/1.1 499 \r\nContent-Length: 0\r\nConnection: close\r\nX-Request-ID: id-1\r\n"
        b"Cache-Control: no-store\r\n\r\n"
    )
