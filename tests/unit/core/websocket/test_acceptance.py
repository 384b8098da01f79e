"""A backend's 101: what is read from it, how the next one is recognised, and what the client is told."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.handshakes import KEY, Values, arrival, read_head, request

from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.response import Response
from memmie_gateway.core.websocket.acceptance import Acceptance, KnownAnswer, client_answer, own_answer
from memmie_gateway.core.websocket.handshake import Offer, accept_for, check_response

ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3, for the key of the same section

ACCEPTED: Values = {
    b"upgrade": (b"WebSocket",),
    b"connection": (b"upgrade",),
    b"sec-websocket-accept": (ACCEPT,),
}


def answer(changes: Values) -> Response:
    fields = ((name, value) for name, values in {**ACCEPTED, **changes}.items() for value in values)
    return Response(101, Headers(tuple(fields)))


@pytest.mark.parametrize(
    ("selected", "bearer", "expected"),
    [
        ((), "", None),
        ((), "bearer", b"bearer"),
        ((), "Bearer", b"Bearer"),
        ((b"v1",), "", b"v1"),
        ((b"v1",), "bearer", b"v1"),
    ],
)
def test_which_subprotocol_the_client_sees(
    selected: tuple[bytes, ...], bearer: str, expected: bytes | None
) -> None:
    raw = client_answer(
        Acceptance.of(answer({b"sec-websocket-protocol": selected})),
        ACCEPT,
        Credentials("T", subprotocols=("v1",), bearer=bearer),
        "id-1",
    )
    _, pairs = read_head(raw)
    assert ([expected] if expected else []) == [
        value for name, value in pairs if name == b"sec-websocket-protocol"
    ]


def test_the_whole_answer() -> None:
    response = answer({
        b"connection": (b"Upgrade, X-Hop",),
        b"x-hop": (b"1",),
        b"keep-alive": (b"timeout=5",),
        b"content-length": (b"5",),
        b"transfer-encoding": (b"chunked",),
        b"x-request-id": (b"the backend's",),
        b"sec-websocket-extensions": (b"permessage-deflate",),
        b"set-cookie": (b"a=1", b"b=2"),
    })  # fmt: skip
    assert client_answer(Acceptance.of(response), ACCEPT, Credentials("T"), "id-1") == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"X-Request-ID: id-1\r\n"
        b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
        b"Set-Cookie: a=1\r\n"
        b"Set-Cookie: b=2\r\n"
        b"\r\n"
    )


# Recognising it.

FIELDS = [
    (b"Date", b"Thu, 26 Nov 2026 07:00:00 GMT"),
    (b"Server", b"x"),
    (b"X-Custom", b"1"),
    (b"X-Custom", ACCEPT),
    (b"Set-Cookie", b"a=1"),
    (b"Keep-Alive", b"timeout=5"),
    (b"Connection", b"Upgrade, X-Custom"),
    (b"Sec-WebSocket-Protocol", b"v1"),
    (b"Sec-WebSocket-Protocol", b"v2"),
    (b"Sec-WebSocket-Extensions", b"permessage-deflate"),
    (b"Sec-WebSocket-Extensions", b"x-other; a=1"),
]

OFFERS = st.builds(
    Offer,
    st.binary(min_size=16, max_size=16).map(base64.b64encode),
    st.sampled_from([(), ("v1",), ("v2", "v1")]),
    st.sampled_from(
        [frozenset[str](), frozenset({"permessage-deflate"}), frozenset({"permessage-deflate", "x-other"})]
    ),
)


def head(accept: bytes, fields: list[tuple[bytes, bytes]], at: int) -> bytes:
    lines = [name + b": " + value for name, value in fields]
    lines[at:at] = [b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + accept]
    return b"\r\n".join([b"HTTP/1.1 101 Switching Protocols", *lines, b"", b""])


def read(raw: bytes) -> Response:
    _, pairs = read_head(raw)
    return Response(101, Headers(tuple((name.lower(), value) for name, value in pairs)))


@given(
    fields=st.lists(st.sampled_from(FIELDS), max_size=5), at=st.integers(0, 5), first=OFFERS, second=OFFERS
)
def test_what_is_recognised_is_what_would_be_read(
    fields: list[tuple[bytes, bytes]], at: int, first: Offer, second: Offer
) -> None:
    raw = head(first.accept, fields, at)
    known = KnownAnswer(raw, first.accept, Acceptance.of(read(raw)))
    expected = known.expected(second)
    if not expected:
        assert check_response(read(head(second.accept, fields, at)), second)
        return
    assert expected == head(second.accept, fields, at)
    assert not check_response(read(expected), second)
    assert known.accepted == Acceptance.of(read(expected))


def test_an_answer_with_the_same_fields_is_recognised() -> None:
    fields = [(b"Server", b"x")]
    raw = head(ACCEPT, fields, 0)
    known = KnownAnswer(raw, ACCEPT, Acceptance.of(read(raw)))
    offer = Offer(base64.b64encode(bytes(16)))
    expected = known.expected(offer)
    assert expected == head(accept_for(offer.key), fields, 0)
    assert known.accepted == Acceptance.of(read(expected))


@pytest.mark.parametrize(
    "fields", [[(b"X-Echo", ACCEPT)], [(b"Sec-WebSocket-Key", b"x"), (b"X-Echo", b"a" + ACCEPT)]]
)
def test_an_answer_with_the_same_bytes_twice_is_not_recognised(fields: list[tuple[bytes, bytes]]) -> None:
    for at in (0, len(fields)):
        raw = head(ACCEPT, fields, at)
        assert KnownAnswer(raw, ACCEPT, Acceptance.of(read(raw))).expected(Offer(KEY)) == b""


def test_an_answer_without_its_accept_is_not_recognised() -> None:
    raw = head(ACCEPT, [], 0)
    known = KnownAnswer(raw.replace(ACCEPT, ACCEPT.lower()), ACCEPT, Acceptance.of(read(raw)))
    assert known.expected(Offer(KEY)) == b""
    assert repr(known) == "<KnownAnswer usable=False>"


@pytest.mark.parametrize(("subprotocol", "told"), [("", []), ("v1", [b"v1"])])
def test_the_gateways_own_answer(subprotocol: str, told: list[bytes]) -> None:
    first, fields = read_head(own_answer(arrival(request()), subprotocol))
    assert first == "HTTP/1.1 101 Switching Protocols"
    assert [value for name, value in fields if name == b"sec-websocket-protocol"] == told
    assert (b"sec-websocket-accept", ACCEPT) in fields
    assert (b"x-request-id", b"id-1") in fields
    assert b"sec-websocket-extensions" not in dict(fields)
