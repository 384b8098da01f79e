"""Which refusals a web page is told, with which code, reason and subprotocol (spec §1)."""

from __future__ import annotations

import pytest
from tests.unit.core.handshakes import request

from memmie_gateway.core.http.credentials import ALL_SOURCES, FIRST_MESSAGE_SOURCES
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.response import Response
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.websocket.control_frames import valid_close_code
from memmie_gateway.core.websocket.readable import READABLE, readable_refusal

PLAIN = (Cause.CONNECT_RATE, Cause.ADDRESS_FULL, Cause.GATEWAY_FULL, Cause.DRAINING, Cause.CLIENT_LEFT)
JWT = b"aGVhZA.cGF5bG9hZA.c2ln"


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause in READABLE])
def test_the_code_is_that_of_the_status_and_the_reason_that_of_the_cause(cause: Cause) -> None:
    refusal = readable_refusal(RefusedError(cause, "more words"), request(), ALL_SOURCES)
    assert refusal == (4000 + cause.ending.status, cause.ending.code, "")
    assert valid_close_code(refusal.code)


def test_the_status_of_studio_is_told() -> None:
    error = RefusedError(Cause.BACKEND_REFUSED, response=Response(418, Headers()))
    assert readable_refusal(error, request(), ALL_SOURCES) == (4418, "studio_refused", "")


@pytest.mark.parametrize("cause", PLAIN)
def test_limits_by_address_and_a_full_or_stopping_gateway_are_plain(cause: Cause) -> None:
    assert readable_refusal(RefusedError(cause), request(), ALL_SOURCES) is None


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        pytest.param(b"bearer, " + JWT, "bearer", id="bearer and a token"),
        pytest.param(b"v1, Bearer, " + JWT, "Bearer", id="bearer behind another, as it is spelled"),
        pytest.param(b"bearer", "bearer", id="bearer without a token"),
        pytest.param(b"v1, v2", "v1", id="the first one"),
        pytest.param(b"t1, v2", "v2", id="the first one is the token of the query"),
        pytest.param(b"v1", "v1", id="a lone one, while the token is in the query"),
        pytest.param(b"x" * 65 + b", v2", "v2", id="the first one is as long as a token"),
        pytest.param(b"t1", None, id="only the token"),
        pytest.param(b"x" * 65 + b", " + b"y" * 65, None, id="only such long ones"),
    ],
)
def test_the_selected_subprotocol_is_one_that_was_offered_and_no_token(
    offered: bytes, selected: str | None
) -> None:
    asked = request({b"sec-websocket-protocol": (offered,)}, target=b"/ws?token=t1")
    refusal = readable_refusal(RefusedError(Cause.TOKEN_REFUSED), asked, ALL_SOURCES)
    assert (None if refusal is None else refusal.subprotocol) == selected


@pytest.mark.parametrize(("offered", "selected"), [(JWT, None), (b"v1", "v1")])
def test_with_first_message_auth_a_lone_subprotocol_need_not_be_a_token(
    offered: bytes, selected: str | None
) -> None:
    asked = request({b"sec-websocket-protocol": (offered,)})
    error = RefusedError(Cause.TOKEN_REFUSED)
    refusal = readable_refusal(error, asked, FIRST_MESSAGE_SOURCES)
    assert (None if refusal is None else refusal.subprotocol) == selected
    assert readable_refusal(error, asked, ALL_SOURCES) is None
