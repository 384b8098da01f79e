"""The ids of a request: the client's own where they can be used, else new ones."""

from __future__ import annotations

import pytest
from tests.unit.core.handshakes import CLIENT, TRACE, request

from memmie_gateway.core.http.arrival import RANDOM_BYTES, arrive, request_id, traceparent


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), "0000000000000000000000000000000f"),
        ((b"client-1",), "client-1"),
        ((b"!" * 128,), "!" * 128),
        ((b"x" * 129,), "0000000000000000000000000000000f"),
        ((b"",), "0000000000000000000000000000000f"),
        ((b"two words", b"second"), "second"),
        ((b"\xe9",), "0000000000000000000000000000000f"),
    ],
)
def test_request_id(values: tuple[bytes, ...], expected: str) -> None:
    assert expected == request_id(request({b"x-request-id": values}), (15).to_bytes(16, "big"))


NEW_TRACE = f"00-{'0' * 31}2-{'0' * 15}3-01"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TRACE, TRACE),
        ("cc" + TRACE[2:], "cc" + TRACE[2:]),
        ("", NEW_TRACE),
        (TRACE.upper(), NEW_TRACE),
        (TRACE + "-more", NEW_TRACE),
        ("ff" + TRACE[2:], NEW_TRACE),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", NEW_TRACE),
        (f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01", NEW_TRACE),
    ],
)
def test_traceparent(value: str, expected: str) -> None:
    values = (value.encode(),) if value else ()
    assert expected == traceparent(request({b"traceparent": values}), ((2 << 64) + 3).to_bytes(24, "big"))


@pytest.mark.parametrize(
    "random", [bytes(24), bytes([255] * 24), bytes(16) + bytes([7] * 8), bytes([7] * 16) + bytes(8)]
)
def test_a_new_traceparent_is_valid(random: bytes) -> None:
    new = traceparent(request(), random)
    assert new == traceparent(request({b"traceparent": (new.encode(),)}), b"\7" * 24)


def test_an_arrival_shares_the_random_bytes_out() -> None:
    arrival = arrive(request(), CLIENT, ((0xA << 192) + (2 << 64) + 3).to_bytes(RANDOM_BYTES, "big"))
    assert (arrival.client, arrival.id, arrival.trace) == (CLIENT, f"{0xA:032x}", NEW_TRACE)


@pytest.mark.parametrize("byte", [0, 255])
def test_ids_have_their_length_whatever_the_bytes(byte: int) -> None:
    arrival = arrive(request(), CLIENT, bytes([byte]) * RANDOM_BYTES)
    assert len(arrival.id) == 32
    assert len(arrival.trace) == len(TRACE)


def test_an_arrival_keeps_the_clients_ids() -> None:
    asked = request({b"x-request-id": (b"client-1",), b"traceparent": (TRACE.encode(),)})
    arrival = arrive(asked, CLIENT, bytes(RANDOM_BYTES))
    assert (arrival.request, arrival.id, arrival.trace) == (asked, "client-1", TRACE)


def test_repr_tells_neither_query_nor_headers_nor_address() -> None:
    asked = request({b"authorization": (b"Bearer SECRET",)}, target=b"/ws?token=SECRET")
    assert (
        repr(arrive(asked, CLIENT, (15 << 192).to_bytes(RANDOM_BYTES, "big")))
        == f"<Arrival {15:032x} <Request GET /ws>>"
    )
