"""Events of clients and messages of Studio, each translated into the other."""

from __future__ import annotations

import json
import re

import pytest
from tests.unit.core.socketio.reading import read

from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.json_text import WINDOW
from memmie_gateway.core.socketio.packets import PacketError
from memmie_gateway.core.socketio.translation import (
    LARGEST_CONNECT,
    MOST_AWAITED,
    Heard,
    Kind,
    Translation,
    binary_event,
    last_packets,
    refused,
)


@pytest.fixture
def connected() -> Translation:
    translation = Translation("p.")
    read(translation.hear("0"))
    assert translation.accepted("s1") == '40{"sid":"s1"}'
    return translation


@pytest.mark.parametrize(
    ("packet", "token"),
    [
        ("0", ""),
        ("0{}", ""),
        ('0{"token":"t","x":1}', "t"),
        ('0{"token":null}', ""),
        ('0/,{"token":"t"}', "t"),
    ],
)
def test_connect_has_the_token(packet: str, token: str) -> None:
    translation = Translation("p.")
    assert read(translation.hear(packet)) == Heard(Kind.CONNECT, token)
    assert not translation.connected
    with pytest.raises(PacketError, match="connected already"):
        read(translation.hear(packet))


def test_a_large_connect_is_not_read() -> None:
    """Nobody pays for it yet."""
    large = f'{{"token":"t","more":"{"x" * LARGEST_CONNECT}"}}'
    slices = Translation("p.").hear(f"0{large}")
    with pytest.raises(StopIteration) as done:
        next(slices)
    assert done.value.value == Heard(Kind.CONNECT, large)


@pytest.mark.parametrize("packet", ['0{"token":1}', "0[]", "0{", "2[]", '2["a"]', "31[]", '51-["a"]', "4{}"])
def test_nothing_comes_before_a_valid_connect(packet: str) -> None:
    with pytest.raises(PacketError):
        read(Translation("p.").hear(packet))


def test_other_namespaces_are_refused(connected: Translation) -> None:
    heard = read(connected.hear('0/admin,{"token":"t"}'))
    assert heard == Heard(Kind.ANSWER, '44/admin,{"message":"Invalid namespace"}')
    assert read(connected.hear("1/admin")) == Heard(Kind.NOTHING)
    with pytest.raises(PacketError, match="not connected to this namespace"):
        read(connected.hear('2/admin,["a"]'))


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        ('2["heartbeat"]', '{"type":"heartbeat"}'),
        ('2[ "a" , {"n":1.10} ]', '{"type":"a","data":{"n":1.10}}'),
        ('2["\\u00e9",null]', '{"type":"\\u00e9","data":null}'),
        ('27["a"]', '{"id":"p.7","type":"a"}'),
    ],
)
def test_an_event_becomes_a_message(connected: Translation, packet: str, message: str) -> None:
    assert read(connected.hear(packet)) == Heard(Kind.MESSAGE, message)
    json.loads(message)


@pytest.mark.parametrize("packet", ["2", "2[]", "2[1]", '2{"a":1}', '2["a"', "4{}", '61-["a"]', ""])
def test_what_is_not_an_event_is_refused(connected: Translation, packet: str) -> None:
    with pytest.raises(PacketError):
        read(connected.hear(packet))


def test_an_event_with_two_arguments_is_answered_with_an_error(connected: Translation) -> None:
    words = '{"type":"error","error":"an event has only one argument besides its name"}'
    assert read(connected.hear('2["a",1,2]')) == Heard(Kind.ANSWER, f'42["error",{words}]')
    assert read(connected.hear('29["a",1,2]')) == Heard(Kind.ANSWER, f"439[{words}]")


def test_a_binary_event_is_answered_with_an_error(connected: Translation) -> None:
    heard = read(connected.hear('52-9["a",{"_placeholder":true,"num":0}]'))
    assert heard == Heard(Kind.ANSWER, '439[{"type":"error","error":"binary events are not supported"}]')
    connected.hear_binary()
    with pytest.raises(PacketError, match="a binary message is missing"):
        read(connected.hear('2["a"]'))
    connected.hear_binary()
    assert read(connected.hear('2["a"]')).kind is Kind.MESSAGE
    with pytest.raises(PacketError, match="belongs to no packet"):
        connected.hear_binary()


def test_what_nobody_waits_for_is_ignored_and_a_client_may_leave(connected: Translation) -> None:
    assert read(connected.hear("31[]")) == Heard(Kind.NOTHING)
    assert read(connected.hear("1")) == Heard(Kind.LEAVE)


@pytest.mark.parametrize(
    ("message", "packet"),
    [
        ('{"type":"a","data":{"n":1.10},"timestamp":1}', '42["a",{"n":1.10}]'),
        ('{"type":"a"}', '42["a"]'),
        ('{"id":"p.7","type":"a"}', '42["a"]'),  # nobody waits for it
        ('{"id":7,"type":"a","data":null}', '42["a",null]'),
        ('{"type":"error","error":"e"}', '42["error",{"type":"error","error":"e"}]'),
        ('{"type":"disconnect","data":1}', '42["message",{"type":"disconnect","data":1}]'),
        ('{"data":1}', '42["message",{"data":1}]'),
        ('{"type":1}', '42["message",{"type":1}]'),
        ("[1]", '42["message",[1]]'),
        ("1,2", '42["message","1,2"]'),
        ("hé", '42["message","hé"]'),
        ("", '42["message",""]'),
    ],
)
def test_a_message_becomes_an_event(connected: Translation, message: str, packet: str) -> None:
    assert read(connected.translate(message)) == packet
    json.loads(packet[2:])


def test_the_message_with_the_id_is_the_acknowledgement(connected: Translation) -> None:
    read(connected.hear('27["a"]'))
    message = '{"id":"p.7","type":"error","error":"e"}'
    assert read(connected.translate(message)) == f"437[{message}]"
    assert read(connected.translate(message)) == f'42["error",{message}]', "only once"


@pytest.mark.parametrize(
    "message", ['{"type":"a","data":"p."}', '{"id":["p.7"],"type":"a"}', '{"id":"p.8","type":"a"}']
)
def test_another_message_is_not_the_acknowledgement(connected: Translation, message: str) -> None:
    read(connected.hear('27["a"]'))
    assert read(connected.translate(message)).startswith('42["a"')
    assert read(connected.translate('["p.7"]')) == '42["message",["p.7"]]'
    assert read(connected.translate('{"id":"p.7"')) == '42["message","{\\"id\\":\\"p.7\\""]'


def test_only_so_many_acknowledgements_are_awaited(connected: Translation) -> None:
    for number in range(MOST_AWAITED + 1):
        read(connected.hear(f'2{number}["a"]'))
    assert read(connected.translate('{"id":"p.0","type":"b"}')) == '42["b"]', "the oldest is forgotten"
    assert read(connected.translate('{"id":"p.1","type":"b"}')).startswith("431[")


def test_a_binary_message_becomes_a_binary_event() -> None:
    assert binary_event(b"x") == ('451-["message",{"_placeholder":true,"num":0}]', b"x")


def test_a_refusal_has_code_and_message() -> None:
    packet = refused(RefusedError(Cause.TOKEN_REFUSED))
    assert packet.startswith("44")
    assert json.loads(packet[2:]) == {
        "code": "token_invalid",
        "message": "the token is not valid",
        "data": {"code": "token_invalid", "status": 401},
    }
    packet = refused(RefusedError(Cause.USER_FULL, retry_after=2.5))
    assert json.loads(packet[2:])["data"] == {
        "code": "too_many_connections_of_user",
        "status": 429,
        "retry_after": 3,
    }


def test_only_after_some_codes_a_client_reconnects() -> None:
    assert last_packets(1012, "gone") == ['42["close",{"code":1012,"reason":"gone"}]']
    assert last_packets(4401, "é") == ['42["close",{"code":4401,"reason":"é"}]', "41"]


def test_nothing_secret_is_shown(connected: Translation) -> None:
    assert re.fullmatch(r"<Translation connected=True awaited=0>", repr(connected))


def test_large_texts_are_not_copied_in_the_turn_in_which_they_are_read(connected: Translation) -> None:
    """With 4 bytes for each character, each copy of a megabyte takes milliseconds."""
    data = "\U0001f600" * WINDOW
    assert sum(1 for _ in connected.hear(f'2["a","{data}"]')) == 2
    assert sum(1 for _ in connected.translate(f'{{"type":"a","data":"{data}"}}')) == 2
