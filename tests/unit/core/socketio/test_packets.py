"""Packets of Engine.IO and Socket.IO as their protocols write them."""

from __future__ import annotations

import pytest

from memmie_gateway.core.socketio import packets
from memmie_gateway.core.socketio.packets import (
    PacketError,
    engine_message,
    polled,
    read_engine_packet,
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


def test_a_body_is_split_and_made() -> None:
    assert split_payload("3\x1e42[]") == ["3", "42[]"]
    assert [polled("42[]"), polled(b"\x00\xff")] == ["42[]", "bAP8="]
    for body in ("", "3\x1e", "\x1e3"):
        with pytest.raises(PacketError):
            split_payload(body)
