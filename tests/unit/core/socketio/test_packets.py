"""Packets of Engine.IO and Socket.IO as their protocols write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memmie_gateway.core.socketio import packets
from memmie_gateway.core.socketio.packets import (
    PacketError,
    SocketPacket,
    engine_message,
    message_text,
    polled,
    read_engine_packet,
    read_event,
    read_socket_packet,
    split_payload,
)


@pytest.mark.parametrize(
    ("encoded", "kind", "data"),
    [
        ("2probe", packets.PING, "probe"),
        ("3", packets.PONG, ""),
        ('42["a",1]', packets.MESSAGE, '2["a",1]'),
        ('4{"a":1.10}', packets.MESSAGE, '{"a":1.10}'),
        ("6", packets.NOOP, ""),
        (b"\x00\xff", packets.MESSAGE, b"\x00\xff"),
        ("bAP8=", packets.MESSAGE, b"\x00\xff"),
    ],
)
def test_engine_packets_are_read(encoded: str | bytes, kind: int, data: str | bytes) -> None:
    packet = read_engine_packet(encoded)
    assert (packet.packet_type, packet.data) == (kind, data)


@pytest.mark.parametrize("encoded", ["", "x", "7", "-1", "bA", "[4]"])
def test_what_is_not_an_engine_packet_is_refused(encoded: str) -> None:
    with pytest.raises(PacketError):
        read_engine_packet(encoded)


@pytest.mark.parametrize(
    ("text", "kind", "namespace", "number", "attachments", "data"),
    [
        ("0", packets.CONNECT, None, None, 0, None),
        ('0/admin,{"token":"t"}', packets.CONNECT, "/admin", None, 0, '{"token":"t"}'),
        ("1", packets.DISCONNECT, None, None, 0, None),
        ('212["a",1]', packets.EVENT, None, 12, 0, '["a",1]'),
        ("31[]", packets.ACK, None, 1, 0, "[]"),
        ('52-/x,7["a"]', packets.BINARY_EVENT, "/x", 7, 2, '["a"]'),
    ],
)
def test_socket_packets_are_read(
    text: str, kind: int, namespace: str | None, number: int | None, attachments: int, data: str | None
) -> None:
    packet = read_socket_packet(text)
    assert (packet.packet_type, packet.namespace, packet.id) == (kind, namespace, number)
    assert (packet.attachment_count, packet.data) == (attachments, data)


@pytest.mark.parametrize("text", ["", "x", "7[]", "2" + "1" * 101, "599999999999-[]", "2²[]"])
def test_what_is_not_a_socket_packet_is_refused(text: str) -> None:
    with pytest.raises(PacketError):
        read_socket_packet(text)


def test_messages_are_built() -> None:
    assert engine_message(packets.EVENT, '["a",1.10]') == '42["a",1.10]'
    assert engine_message(packets.ACK, "[]", number=3) == "433[]"
    assert engine_message(packets.CONNECT_ERROR, "{}", "/x") == "44/x,{}"
    assert engine_message(packets.DISCONNECT) == "41"


@pytest.mark.parametrize(
    "encoded", ["4", '42["a"]', "4²", "47", "٤2[]", "2", "3probe", "b4AA=", "", b"4", b'42["a"]']
)
def test_a_text_message_is_read_as_the_codec_reads_it(encoded: str | bytes) -> None:
    text = message_text(encoded)
    assert (text is not None) == (isinstance(encoded, str) and encoded.startswith("4"))
    if text is not None:
        packet = read_engine_packet(encoded)
        assert (packet.packet_type, packet.data) == (packets.MESSAGE, text)


@given(st.text(alphabet='20179²٤-/,["a]', max_size=12).map("2{}".format) | st.text(max_size=8))
def test_an_event_is_read_as_the_codec_reads_it(text: str) -> None:
    event = read_event(text)
    if event is not None:
        packet = read_socket_packet(text)
        assert (packet.packet_type, packet.namespace, packet.attachment_count) == (packets.EVENT, None, 0)
        assert (packet.id, packet.data) == event


@pytest.mark.parametrize("text", ["2", "2/x,[]", "21-[]", "2٤[]", f"2{'1' * 16}[]", "3[]", ' 2["a"]', "2 []"])
def test_any_other_packet_is_left_to_the_codec(text: str) -> None:
    assert read_event(text) is None


def test_usual_events_need_no_codec() -> None:
    assert read_event('2["a",{"b":1-1}]') == (None, '["a",{"b":1-1}]')
    assert read_event('2007["a"]') == (7, '["a"]')


@pytest.mark.parametrize("kind", range(7))
@pytest.mark.parametrize("data", [None, '["a",1.10]'])
@pytest.mark.parametrize("number", [None, 0, 12])
def test_a_message_is_built_as_the_codec_builds_it(kind: int, data: str | None, number: int | None) -> None:
    if kind not in (packets.BINARY_EVENT, packets.BINARY_ACK):
        encoded = SocketPacket(kind, data, None, number, binary=False).encode()
        assert engine_message(kind, data, number=number) == f"4{encoded}"


def test_a_body_is_split_and_made() -> None:
    assert split_payload("3\x1e42[]", 2) == ["3", "42[]"]
    assert [polled("42[]"), polled(b"\x00\xff")] == ["42[]", "bAP8="]
    for body in ("", "3\x1e", "\x1e3", "3\x1e3\x1e3"):
        with pytest.raises(PacketError, match="1 to 2 packets"):
            split_payload(body, 2)
