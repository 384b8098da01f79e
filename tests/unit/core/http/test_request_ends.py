"""Why a forwarded request ended before its answer was complete."""

from __future__ import annotations

import pytest

from memmie_gateway.core.http.deadlines import Late
from memmie_gateway.core.http.request_ends import broke_off, why_cancelled
from memmie_gateway.core.http.routes import Service
from memmie_gateway.core.outcomes import Cause


@pytest.mark.parametrize(
    ("late", "gone", "answered", "expected"),
    [
        (None, True, False, Cause.CLIENT_LEFT),
        (Late.SERVICE, True, False, Cause.CLIENT_LEFT),
        (None, False, False, Cause.DRAINING),
        (Late.BODY, False, True, Cause.HEAD_LATE),
        (Late.CLIENT, False, False, Cause.HEAD_LATE),
        (Late.CLIENT, False, True, Cause.CLIENT_SILENT),
        (Late.SERVICE, False, True, Cause.BACKEND_TIMEOUT),
        (Late.TOTAL, False, False, Cause.BACKEND_TIMEOUT),
    ],
)
def test_why(late: Late | None, *, gone: bool, answered: bool, expected: Cause) -> None:
    assert why_cancelled(late, Service.STUDIO, gone=gone, answered=answered)[0] is expected


def test_auth_has_causes_of_its_own() -> None:
    assert why_cancelled(Late.TOTAL, Service.AUTH, gone=False, answered=False) == (Cause.AUTH_TIMEOUT, "")
    assert broke_off(Service.AUTH) is Cause.AUTH_BROKE_OFF
    assert broke_off(Service.STUDIO) is Cause.BACKEND_BROKE_OFF
