"""Responses as bytes (RFC 9112), cut at every offset: which are read, how far, and which are refused."""

from __future__ import annotations

import gc
import weakref
from typing import NamedTuple

import pytest

from memmie_gateway.core.http.response import Response
from memmie_gateway.net.http1.response_reader import (
    MAX_BODY,
    MAX_HEAD,
    HttpError,
    ResponseReader,
    TooLargeError,
)

UPGRADE = b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
FRAMES = b"\x81\x02hi\x81\x02ho"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Read(NamedTuple):
    """What was read of a response."""

    status: int
    body: bytes


def read_of(response: Response | None) -> Read | None:
    return Read(response.status, response.body) if response is not None else None


def feed_byte_by_byte(reader: ResponseReader, data: bytes) -> Response | None:
    """Feed until the response is complete, which must not be before the last byte."""
    for byte in data[:-1]:
        assert reader.feed(bytes([byte])) is None
    return reader.feed(data[-1:])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(OK, Read(200, b"ok"), id="content-length"),
        pytest.param(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", Read(401, b""), id="no body"),
        pytest.param(b"HTTP/1.1 204 None\r\n\r\n", Read(204, b""), id="204"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n",
            Read(200, b"abcde"), id="chunked, with a trailer",
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" + OK, Read(200, b"ok"),
            id="interim responses",
        ),
    ],
)  # fmt: skip
def test_a_whole_response_cut_anywhere(data: bytes, expected: Read) -> None:
    for cut in range(len(data)):
        reader = ResponseReader()
        assert reader.feed(data[:cut]) is None
        assert read_of(reader.feed(data[cut:])) == expected
        assert reader.keep_alive
        assert reader.received == len(data)
    reader = ResponseReader()
    for _ in range(2):  # the second one is read as the first was
        reader.expect()
        assert read_of(feed_byte_by_byte(reader, data)) == expected


def test_the_fields_are_those_of_the_final_head() -> None:
    reader = ResponseReader()
    response = reader.feed(
        b"HTTP/1.1 103 Hints\r\nX-Early: 1\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nX-Late:  a b \r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: 1\r\n\r\n"
    )
    assert response is not None
    assert response.headers.fields == ((b"x-late", b"a b"), (b"transfer-encoding", b"chunked"))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", id="close"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", id="HTTP/1.0"),
        pytest.param(OK + OK, id="another response behind it"),
        pytest.param(OK + UPGRADE, id="an upgrade behind it"),
        pytest.param(OK + b"H", id="a byte behind it"),
        pytest.param(OK + b"\x00garbage", id="garbage behind it"),
    ],
)
def test_a_connection_that_carries_no_other_request(data: bytes) -> None:
    reader = ResponseReader()
    assert read_of(reader.feed(data)) == Read(200, b"ok")
    assert not reader.keep_alive


# The end of the connection.


@pytest.mark.parametrize(
    ("data", "closed", "broken"),
    [
        pytest.param(b"", None, None, id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX", None, None, id="half a head"),
        pytest.param(b"HTTP/1.1 103 Hints\r\n\r\n", None, None, id="an interim response"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", Read(200, b""), None, id="no size, no body"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nabc", Read(200, b"abc"), None, id="no size"),
        pytest.param(OK[:-1], None, None, id="cut short"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", None, None, id="no last chunk"
        ),
    ],
)  # fmt: skip
def test_the_end_of_the_connection(data: bytes, closed: Read | None, broken: Read | None) -> None:
    for is_broken, expected in ((False, closed), (True, broken)):
        reader = ResponseReader()
        assert reader.feed(data) is None
        assert read_of(reader.end(broken=is_broken)) == expected
        assert not reader.keep_alive


def test_a_response_is_complete_once() -> None:
    reader = ResponseReader()
    reader.feed(OK)
    assert reader.end(broken=False) is None


# Upgrades.


def test_an_upgrade_leaves_what_follows() -> None:
    data = UPGRADE + FRAMES
    for cut in range(len(UPGRADE)):
        reader = ResponseReader()
        reader.expect(upgrade=True)
        assert reader.feed(data[:cut]) is None
        assert not reader.upgraded
        response = reader.feed(data[cut:])
        assert read_of(response) == Read(101, b"")
        assert response is not None
        assert response.headers.one(b"upgrade") == "websocket"
        assert (reader.upgraded, reader.early, reader.keep_alive) == (True, FRAMES, False)


def test_a_large_first_message_is_not_a_large_head() -> None:
    reader = ResponseReader()
    reader.expect(upgrade=True)
    assert reader.feed(UPGRADE + b"x" * 4 * MAX_HEAD) is not None
    assert len(reader.early) == 4 * MAX_HEAD


@pytest.mark.parametrize("status", [200, 302, 500, 503])
def test_a_response_other_than_a_refusal_is_read_up_to_the_end_of_its_head(status: int) -> None:
    reader = ResponseReader()
    reader.expect(upgrade=True)
    head = b"HTTP/1.1 %d No\r\nContent-Length: 200000\r\n\r\n" % status
    assert read_of(feed_byte_by_byte(reader, head)) == Read(status, b"")
    reader = ResponseReader()
    reader.expect(upgrade=True)
    assert read_of(reader.feed(head + b"x" * 200_000)) == Read(status, b"")


@pytest.mark.parametrize("size", [b"Content-Length: 200000\r\n", b""])
def test_a_refusal_is_cut_as_soon_as_it_is_long_enough(size: bytes) -> None:
    reader = ResponseReader()
    reader.expect(upgrade=True)
    assert reader.feed(b"HTTP/1.1 403 No\r\n%s\r\n" % size) is None
    assert reader.feed(b"x" * (MAX_BODY - 1)) is None
    assert read_of(reader.feed(b"xyz")) == Read(403, b"x" * MAX_BODY)


def test_a_refusal_that_the_connection_cuts_short_is_passed_on() -> None:
    for broken in (False, True):
        reader = ResponseReader()
        reader.expect(upgrade=True)
        assert reader.feed(b"HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nab") is None
        assert read_of(reader.end(broken=broken)) == Read(403, b"ab")


# Refused.


@pytest.mark.parametrize("upgrade", [False, True])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"garbage\r\n\r\n", "the answer is not HTTP: ", id="garbage"),
        pytest.param(b"\x16\x03\x01\x00", "the answer is not HTTP: ", id="TLS"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP: ", id="SSH"),
        pytest.param(
            b"HTTP/1.1 404 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "the answer is not HTTP: ",
            id="two sizes",
        ),
        pytest.param(
            b"HTTP/1.1 404 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokx", "the answer is not HTTP: ", id="a bad chunk"
        ),
        pytest.param(
            b"HTTP/1.1 404 OK\r\nX: " + b"x" * MAX_HEAD + b"\r\nContent-Length: 2\r\n\r\nok",
            "the head of the answer is too large", id="a head that is too large",
        ),
        pytest.param(b"HTTP/1.1 404 OK\r\nX: " + b"x" * MAX_HEAD, "the head of the answer is too large", id="half of one"),
        pytest.param(
            b"HTTP/1.1 103 Hints\r\n\r\n" * (MAX_HEAD // 20), "the head of the answer is too large",
            id="too many interim responses",
        ),
        pytest.param(
            b"HTTP/1.1 404 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: " + b"x" * MAX_HEAD,
            "the head of the answer is too large", id="a trailer that is too large",
        ),
    ],
)  # fmt: skip
def test_what_is_not_read(data: bytes, words: str, *, upgrade: bool) -> None:
    reader = ResponseReader()
    reader.expect(upgrade=upgrade)
    with pytest.raises(HttpError, match=f"^{words}") as raised:
        reader.feed(data)
    assert ("too large" in words) is isinstance(raised.value, TooLargeError)


def test_an_upgrade_with_a_head_that_is_too_large() -> None:
    reader = ResponseReader()
    reader.expect(upgrade=True)
    with pytest.raises(TooLargeError, match=r"^the head of the answer is too large$"):
        reader.feed(UPGRADE[:-2] + b"X: " + b"x" * MAX_HEAD + b"\r\n\r\n" + FRAMES)


def test_an_upgrade_that_was_not_asked_for() -> None:
    with pytest.raises(HttpError, match=r"^the answer is an upgrade, but the gateway did not request one$"):
        ResponseReader().feed(UPGRADE)


@pytest.mark.parametrize("size", [b"Content-Length: 999999\r\n", b""])
def test_a_body_that_is_too_large(size: bytes) -> None:
    reader = ResponseReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n%s\r\n" % size + b"x" * MAX_BODY) is None
    with pytest.raises(TooLargeError, match=r"^the answer is too large$"):
        reader.feed(b"x")


def test_as_much_as_a_response_may_have() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX: " % MAX_BODY
    response = ResponseReader().feed(head.ljust(MAX_HEAD - 4, b"x") + b"\r\n\r\n" + b"x" * MAX_BODY)
    assert read_of(response) == Read(200, b"x" * MAX_BODY)


def test_a_closed_reader_is_not_left_to_the_garbage_collector() -> None:
    class Watched(ResponseReader):
        """Can be referred to weakly."""

    gc.disable()
    try:
        reader = Watched()
        gone = weakref.ref(reader)
        reader.close()
        del reader
        assert gone() is None
    finally:
        gc.enable()


def test_it_shows_no_content() -> None:
    reader = ResponseReader()
    reader.feed(OK)
    assert repr(reader) == f"<ResponseReader status=200 received={len(OK)} complete>"
