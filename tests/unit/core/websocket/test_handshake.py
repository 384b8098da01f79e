"""The opening handshake: what is one, what a backend is told, what the client is told (RFC 6455 §4)."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.handshakes import FORGED, GOOD, KEY, TRACE, Values, arrival, read_head, request

from memmie_gateway.core.http.credentials import ALL_SOURCES, HEAD_SOURCES, Credentials, find_credentials
from memmie_gateway.core.http.headers import Fields, Headers
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.http.response import Response
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.websocket import handshake
from memmie_gateway.core.websocket.acceptance import Acceptance, client_answer
from memmie_gateway.core.websocket.handshake import Offer, upstream_head

ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3, for the key of the same section


# Is it one?


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((b"websocket",), True),
        ((b"WebSocket",), True),
        ((b"h2c, websocket",), True),
        ((b"h2c", b"websocket"), True),
        ((b"h2c",), False),
        ((b"websockets",), False),
        ((), False),
    ],
)
def test_is_upgrade(values: tuple[bytes, ...], expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert expected is handshake.is_upgrade(request({b"upgrade": values}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {b"connection": (b"keep-alive, UPGRADE",)},  # as Firefox sends it
        {b"connection": (b"keep-alive", b"upgrade")},
        {b"content-length": (b"0",)},
        {b"host": (b"[2001:db8::1]:8000",)},
        {b"host": (b"my_gateway-1.example.org.",)},
        {b"sec-websocket-key": (b"AAAAAAAAAAAAAAAAAAAAAA==",)},
    ],
)
def test_good_handshakes(changes: Values) -> None:
    assert handshake.check_upgrade(request(changes)) is None


KEY_WORDS = "Sec-WebSocket-Key must be 16 bytes in base64"
BODY_WORDS = "a WebSocket handshake has no body"
HOST_WORDS = "exactly one Host header is needed"
BAD_HOST_WORDS = "the Host header must be a name or an address, and perhaps a port"
VERSION_WORDS = Cause.WRONG_VERSION.ending.words


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        pytest.param(request(method=b"POST"), "a WebSocket handshake is a GET", id="§4.1 1 method"),
        pytest.param(request(version="1.0"), "a WebSocket handshake needs HTTP/1.1", id="§4.1 1 version"),
        pytest.param(request({b"host": ()}), HOST_WORDS, id="§4.1 4 no host"),
        pytest.param(request({b"host": (b"a", b"a")}), HOST_WORDS, id="RFC 9112 §3.2 two hosts"),
        *[
            pytest.param(request({b"host": (host,)}), BAD_HOST_WORDS, id=f"RFC 9112 §3.2 host {host!r}")
            for host in (b"", b"a, b", b"a/b", b"user@a", b"a:x", b'"><b>', b"a b", b"[::1", b"\xe9")
        ],
        pytest.param(
            request({b"connection": (b"keep-alive",)}), "the Connection header must name upgrade", id="§4.1 6"
        ),
        *[
            pytest.param(request({b"sec-websocket-key": keys}), KEY_WORDS, id=f"§4.1 7 key {keys!r}")
            for keys in (
                (),
                (KEY, KEY),
                (b"",),
                (b"c2hvcnQ=",),
                (KEY[:-1],),
                (KEY + b"=",),
                (b"!" + KEY[1:],),
                (b"\xe9" + KEY[1:],),
                (b"A" * 24,),  # 18 bytes
            )
        ],
        pytest.param(request({b"transfer-encoding": (b"chunked",)}), BODY_WORDS, id="smuggled body, chunked"),
        pytest.param(request({b"content-length": (b"5",)}), BODY_WORDS, id="smuggled body"),
        pytest.param(request({b"content-length": (b"0", b"5")}), BODY_WORDS, id="two lengths"),
        pytest.param(request({b"content-length": (b"0, 5",)}), BODY_WORDS, id="two lengths in one"),
        pytest.param(request({b"content-length": (b"+0",)}), BODY_WORDS, id="odd length"),
    ],
)  # fmt: skip
def test_bad_handshakes(asked: Request, words: str) -> None:
    assert handshake.check_upgrade(asked) == (Cause.BAD_HANDSHAKE, words)


@pytest.mark.parametrize("values", [(), (b"8",), (b"13, 8",), (b"13", b"13"), (b"013",)])
def test_other_versions(values: tuple[bytes, ...]) -> None:  # §4.2.2
    asked = request({b"sec-websocket-version": values})
    assert handshake.check_upgrade(asked) == (Cause.WRONG_VERSION, VERSION_WORDS)


def test_the_sample_key_of_the_rfc() -> None:
    assert handshake.accept_for(KEY) == ACCEPT


# What a backend is told.


def head(
    asked: Request,
    user_id: str = "u1",
    *,
    query: str = "",
    credentials: Credentials | None = None,
    key: bytes | None = None,
) -> bytes:
    return upstream_head(
        arrival(asked),
        find_credentials(asked) if credentials is None else credentials,
        user_id,
        host="studio:8010",
        path="/ws",
        query=query,
        key=key,
    )


def test_the_whole_head() -> None:
    asked = request(
        {
            b"sec-websocket-extensions": (b"permessage-deflate",),
            b"cookie": (b"a=1",),
            b"origin": (b"https://o",),
            b"sec-websocket-protocol": (b"v1", b"bearer, T, v2"),
        },
        target=b"/ws?token=T&v=2",
    )
    assert head(asked) == (
        b"GET /ws?user_id=u1&v=2 HTTP/1.1\r\n"
        b"Host: studio:8010\r\n"
        b"Connection: Upgrade\r\n"
        b"Upgrade: websocket\r\n"
        b"X-User-ID: u1\r\n"
        b"X-Real-IP: 192.0.2.1\r\n"
        b"X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n"
        b"X-Forwarded-Proto: http\r\n"
        b"X-Forwarded-Host: gateway:8000\r\n"
        b"X-Request-ID: id-1\r\n"
        b"traceparent: " + TRACE.encode() + b"\r\n"
        b"Sec-WebSocket-Protocol: v1, v2\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: " + KEY + b"\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
        b"Cookie: a=1\r\n"
        b"\r\n"
    )


def test_the_gateways_own_key_offers_no_extension() -> None:
    asked = request({b"sec-websocket-extensions": (b"permessage-deflate",)})
    _, pairs = read_head(head(asked, key=b"OWN"))
    assert [value for name, value in pairs if name == b"sec-websocket-key"] == [b"OWN"]
    assert b"sec-websocket-extensions" not in dict(pairs)
    assert b"sec-websocket-protocol" not in dict(pairs)


def test_the_target() -> None:
    first, _ = read_head(head(request(target=b"/other?token=T&user_id=root&a=1"), "é", query="pool=a"))
    assert first == "GET /ws?pool=a&user_id=%C3%A9&a=1 HTTP/1.1"


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_header_never_reaches_a_backend(name: bytes) -> None:
    first, pairs = read_head(head(request({name: (b"FORGED", b"FORGED2")})))
    assert "FORGED" not in first
    # Only the client's Host is quoted, and only as what it is.
    quoted = {b"x-forwarded-host"} if name == b"host" else set()
    assert quoted == {field for field, value in pairs if b"FORGED" in value}
    assert len(dict(pairs)) == len(pairs)


@pytest.mark.parametrize(
    "connection",
    [(b"Upgrade, X-Secret",), (b"x-secret", b"upgrade"), (b"upgrade,x-secret,X-User-ID,\xe9",)],
)
def test_nominated_headers_stay_behind_and_the_gateways_own_do_not(connection: tuple[bytes, ...]) -> None:
    raw = head(request({b"connection": connection, b"x-secret": (b"S",), b"x-user-id": (b"root",)}))
    _, pairs = read_head(raw)
    assert b"x-secret" not in dict(pairs)
    assert [value for name, value in pairs if name == b"x-user-id"] == [b"u1"]


NAMES = st.sampled_from([*FORGED, b"cookie", b"x-a", b"sec-websocket-extensions", b"connection"])
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=12
)


@settings(max_examples=100, deadline=None)
@given(
    fields=st.lists(st.tuples(NAMES, VALUES.map(lambda text: text.strip().encode("latin-1"))), max_size=6),
    user_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    query=st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="%#"), max_size=20
    ),
)
def test_any_handshake_gives_a_backend_one_head_and_one_user(
    fields: list[tuple[bytes, bytes]], user_id: str, query: str
) -> None:
    headers = tuple((name, value) for name, values in GOOD.items() for value in values)
    asked = Request.parse(b"GET", b"/ws?" + query.encode(), "1.1", (*headers, *fields))
    first, pairs = read_head(head(asked, user_id))
    _, target, _ = first.split(" ")
    assert [user_id] == [value for name, value in parse_qsl(target.partition("?")[2]) if name == "user_id"]
    assert [user_id] == [unquote(value.decode()) for name, value in pairs if name == b"x-user-id"]
    for name in (b"host", b"connection", b"x-forwarded-for", b"x-request-id", b"traceparent"):
        assert len([1 for other, _ in pairs if other == name]) == 1


@settings(max_examples=100, deadline=None)
@given(
    places=st.sets(
        st.sampled_from(["authorization", "pair", "PAIR", "lone", "query", "encoded query"]), min_size=1
    ),
    others=st.lists(st.sampled_from(["v1", "v2", "chat"]), max_size=2, unique=True),
    pair_at=st.integers(0, 2),
    first_message=st.booleans(),
)
def test_a_token_never_reaches_a_backend(
    places: set[str],
    others: list[str],
    pair_at: int,
    first_message: bool,  # noqa: FBT001 - drawn
) -> None:
    token = "SECRET.token-1"
    if places == {"lone"}:
        others, first_message = [], False
    protocols = [*others, *([token] if "lone" in places else [])]
    if "pair" in places:
        protocols[pair_at:pair_at] = ["bearer", token]
    if "PAIR" in places:
        protocols += ["Bearer", token]
    query = [f"token={token}"] if "query" in places else []
    query += ["%74oken=SECRET%2etoken-1"] if "encoded query" in places else []
    changes = {
        b"sec-websocket-protocol": tuple(name.encode() for name in protocols),
        b"authorization": (f"Bearer {token}".encode(),) if "authorization" in places else (),
    }
    asked = request(changes, target=f"/ws?{'&'.join(['a=1', *query])}".encode())
    credentials = find_credentials(asked, HEAD_SOURCES if first_message else ALL_SOURCES)
    assert token == credentials.token
    raw = head(asked, credentials=credentials)
    assert b"SECRET" not in raw
    assert b"SECRET" not in client_answer(Acceptance.of(accepted()), ACCEPT, credentials, "id-1")
    assert "SECRET" not in repr((asked, credentials))
    assert sorted(others) == sorted(credentials.subprotocols)


# What a backend answers.

ACCEPTED: Values = {
    b"upgrade": (b"WebSocket",),
    b"connection": (b"upgrade",),
    b"sec-websocket-accept": (ACCEPT,),
}


def accepted(changes: Values | None = None) -> Response:
    headers: Fields = tuple(
        (name, value) for name, values in {**ACCEPTED, **(changes or {})}.items() for value in values
    )
    return Response(101, Headers(headers))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({b"connection": (b"keep-alive, Upgrade",)}, ""),
        ({b"upgrade": ()}, "the Upgrade header is not websocket"),
        ({b"upgrade": (b"h2c",)}, "the Upgrade header is not websocket"),
        ({b"connection": ()}, "the Connection header does not contain upgrade"),
        ({b"connection": (b"upgraded",)}, "the Connection header does not contain upgrade"),
        ({b"sec-websocket-accept": ()}, "the Sec-WebSocket-Accept header does not match the key"),
        (
            {b"sec-websocket-accept": (ACCEPT.lower(),)},
            "the Sec-WebSocket-Accept header does not match the key",
        ),
        (
            {b"sec-websocket-accept": (ACCEPT, ACCEPT)},
            "the Sec-WebSocket-Accept header does not match the key",
        ),
        ({b"sec-websocket-accept": (b"\xff",)}, "the Sec-WebSocket-Accept header does not match the key"),
        ({b"sec-websocket-protocol": (b"v1",)}, ""),
        ({b"sec-websocket-protocol": (b"v3",)}, "the backend selected a subprotocol that was not offered"),
        ({b"sec-websocket-protocol": (b"V1",)}, "the backend selected a subprotocol that was not offered"),
        (
            {b"sec-websocket-protocol": (b"v1, v2",)},
            "the backend selected a subprotocol that was not offered",
        ),
        (
            {b"sec-websocket-protocol": (b"v1", b"v2")},
            "the backend selected a subprotocol that was not offered",
        ),
        (
            {b"sec-websocket-protocol": (b"bearer",)},
            "the backend selected a subprotocol that was not offered",
        ),
        ({b"sec-websocket-extensions": (b"Permessage-Deflate; client_max_window_bits=10",)}, ""),
        (
            {b"sec-websocket-extensions": (b"x-other",)},
            "the backend accepted an extension that was not offered",
        ),
        (
            {b"sec-websocket-extensions": (b"permessage-deflate", b"x-other")},
            "the backend accepted an extension that was not offered",
        ),
    ],
)
def test_check_response(changes: Values, expected: str) -> None:  # RFC 6455 §4.1
    offer = Offer(KEY, ("v1", "v2"), frozenset({"permessage-deflate"}))
    assert expected == handshake.check_response(accepted(changes), offer)


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ("", 0),
        (" , ", 0),
        ("permessage-deflate", 0x40),
        ("Permessage-Deflate; server_no_context_takeover; client_max_window_bits=10", 0x40),
        ("permessage-deflate, x-webkit-deflate-frame", 0x70),
        ("permessage-bzip2", 0x70),
        ("permessage-deflate, x-other", 0x70),
    ],
)
def test_reserved_bits(extensions: str, expected: int) -> None:  # RFC 7692 §6
    headers = Headers(((b"sec-websocket-extensions", extensions.encode()),))
    assert expected == handshake.reserved_bits(Response(101, headers))
