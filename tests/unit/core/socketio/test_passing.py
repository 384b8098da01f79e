"""What is read of long-polling that passes unchanged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.socketio.handshake import Wish
from memmie_gateway.core.socketio.passing import (
    MAX_FIRST_PACKET,
    Opened,
    Packets,
    is_plain,
    passed,
    read_opened,
    without_encodings,
)

ABOUT: dict[str, Any] = {"sid": "s-1", "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000}


def opening(**changes: Any) -> bytes:
    return b"0" + json.dumps(ABOUT | changes).encode()


@pytest.mark.parametrize("behind", [b"", b"\x1e40", b"\x1e\x1e\xff"])
def test_an_open_packet(behind: bytes) -> None:
    assert read_opened(opening() + behind) == Opened("s-1", 45.0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"0",
        b"40{}",
        opening()[1:],
        b"0[1]",
        b"0null",
        b"0" + b"[" * 9000,
        b"0\xff",
        opening(sid=""),
        opening(sid=7),
        opening(sid=None),
        opening(sid="a b"),
        opening(sid="a&sid=b"),
        opening(sid="a" * 129),
        opening(pingInterval="25000"),
        opening(pingInterval=True),
        opening(pingInterval=0),
        opening(pingTimeout=-1),
        opening(pingTimeout=1.5),
        opening(pingTimeout=None),
        opening(pingTimeout=10**400),
        opening(more="x" * MAX_FIRST_PACKET),
    ],
)
def test_what_opens_no_connection(body: bytes) -> None:
    assert read_opened(body) is None


def test_a_sid_is_not_shown() -> None:
    assert repr(Opened("secret", 45)) == "Opened(silence=45)"


@pytest.mark.parametrize(
    ("encodings", "plain"),
    [((), True), ((b"identity",), True), ((b"gzip",), False), ((b"GZIP", b"br"), False)],
)
def test_a_body_with_an_encoding_is_not_read(encodings: tuple[bytes, ...], *, plain: bool) -> None:
    assert is_plain(Headers(tuple((b"content-encoding", value) for value in encodings))) is plain


@pytest.mark.parametrize(
    ("query", "wish", "sent"),
    [
        ("EIO=4&transport=polling&t=x", Wish("polling", ""), "EIO=4&transport=polling"),
        ("a=1&EIO=4&sid=s&b=2;c", Wish("polling", "s"), "EIO=4&transport=polling&sid=s&a=1&b=2;c"),
        ("sid=s;sid=s&%73id=s", Wish("websocket", "s"), "EIO=4&transport=websocket&sid=s"),
    ],
)
def test_studio_reads_what_the_gateway_has_read(query: str, wish: Wish, sent: str) -> None:
    assert passed(Credentials("t", (), query), wish) == Credentials("t", (), sent)


def test_no_compressed_answer_is_asked_for() -> None:
    fields = ((b"accept", b"*/*"), (b"accept-encoding", b"gzip"))
    assert without_encodings(Credentials("t", fields)) == Credentials("t", fields[:1])


@pytest.mark.parametrize(
    ("parts", "begun", "closing"),
    [
        ([], [], False),
        ([b"1"], [1], True),
        ([b"11"], [1], False),
        ([b"4hello\x1e1"], [2], True),
        ([b"4hello", b"\x1e", b"1"], [1, 1, 0], True),
        ([b"4a\x1e41"], [2], False),
        ([b"1\x1e2"], [2], False),
        ([b"1", b"2"], [1, 0], False),
        ([b"1", b""], [1, 0], True),
    ],
)
def test_packets_of_a_body(parts: list[bytes], begun: list[int], *, closing: bool) -> None:
    packets = Packets()
    assert [packets.add(part) for part in parts] == begun
    assert packets.closing is closing
    assert (packets.count, repr(packets)) == (sum(begun), f"<Packets {sum(begun)}>")
