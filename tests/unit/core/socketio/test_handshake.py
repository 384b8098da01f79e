"""What a request of Engine.IO asks for, and the packet that opens a connection."""

from __future__ import annotations

import json

import pytest

from memmie_gateway.core.http.credentials import Credentials
from memmie_gateway.core.socketio.handshake import (
    DEFAULT_TIMES,
    Problem,
    Wish,
    forwardable,
    open_packet,
    read_wish,
    times_for,
)
from memmie_gateway.core.websocket.keepalive import Times


@pytest.mark.parametrize(
    ("query", "wish"),
    [
        ("EIO=4&transport=polling&t=abc", Wish("polling", "")),
        ("transport=websocket&EIO=4&sid=s1", Wish("websocket", "s1")),
        ("EIO=4&transport=polling&b64=", Wish("polling", "")),
        ("EIO=4&transport=polling&sid=a&sid=a", Wish("polling", "a")),
        ("EIO=4&transport=polling&sid=a&sid=b", Problem.BAD_REQUEST),
        ("EIO=3&transport=polling", Problem.WRONG_VERSION),
        ("transport=polling", Problem.WRONG_VERSION),
        ("EIO=4", Problem.UNKNOWN_TRANSPORT),
        ("EIO=4&transport=webtransport", Problem.UNKNOWN_TRANSPORT),
        ("EIO=4&transport=polling&j=0", Problem.BAD_REQUEST),
        ("EIO=4&transport=polling&b64=1", Problem.BAD_REQUEST),
    ],
)
def test_the_query_says_it(query: str, wish: Wish | Problem) -> None:
    assert read_wish(query, polling=True) == wish


def test_polling_may_be_switched_off() -> None:
    assert read_wish("EIO=4&transport=polling", polling=False) is Problem.UNKNOWN_TRANSPORT
    assert read_wish("EIO=4&transport=websocket", polling=False) == Wish("websocket", "")


def test_a_sid_is_not_shown() -> None:
    assert repr(Wish("polling", "secret")) == "Wish(polling, known)"
    assert repr(Wish("polling", "")) == "Wish(polling, new)"


def test_an_error_is_that_of_the_protocol() -> None:
    assert json.loads(Problem.UNKNOWN_SID.body()) == {"code": 1, "message": "Session ID unknown"}
    assert Problem.UNKNOWN_SID.message == "Session ID unknown"


def test_nothing_of_engine_io_is_forwarded() -> None:
    credentials = Credentials("t", (), "EIO=4&a=1&transport=polling&%73id=s&t=x&b=2", ("p",))
    assert forwardable(credentials) == Credentials("t", (), "a=1&b=2", ())


def test_the_open_packet_has_milliseconds() -> None:
    packet = open_packet("s1", Times(2.5, 1), 99, upgrades=True)
    assert packet[0] == "0"
    assert json.loads(packet[1:]) == {
        "sid": "s1",
        "upgrades": ["websocket"],
        "pingInterval": 2500,
        "pingTimeout": 1000,
        "maxPayload": 99,
    }
    assert json.loads(open_packet("s1", Times(1, 1), 99, upgrades=False)[1:])["upgrades"] == []


def test_there_is_always_a_heartbeat() -> None:
    assert times_for(Times(0, 3)) == DEFAULT_TIMES
    assert times_for(Times(5, 3)) == Times(5, 3)
