"""The origin that a connection over long-polling belongs to."""

from __future__ import annotations

from memmie_gateway.core.socketio.owner_origin import OwnerOrigin

A, B = (b"https://a",), (b"https://b",)


def test_every_request_has_the_origin_of_the_open() -> None:
    origin = OwnerOrigin(A)
    assert origin.allows(A, "GET", upgrade=False)
    assert not origin.allows(B, "POST", upgrade=False)
    assert not origin.allows((), "GET", upgrade=False)
    assert not origin.allows((*A, *B), "GET", upgrade=True)
    assert repr(origin) == "<OwnerOrigin (b'https://a',)>"


def test_a_page_of_the_same_origin_sends_none_with_a_get_only() -> None:
    origin = OwnerOrigin(())
    assert origin.allows((), "GET", upgrade=False)
    assert origin.allows(A, "POST", upgrade=False)
    assert origin.allows((), "GET", upgrade=False)
    assert origin.allows(A, "GET", upgrade=True)
    assert not origin.allows(B, "POST", upgrade=False)
    assert not origin.allows((), "POST", upgrade=False)
    assert not origin.allows((), "GET", upgrade=True)


def test_a_client_that_is_no_page_sends_none() -> None:
    origin = OwnerOrigin(())
    assert origin.allows((), "POST", upgrade=False)
    assert origin.allows((), "GET", upgrade=True)
