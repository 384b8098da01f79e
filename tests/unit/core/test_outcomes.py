"""The table of endings, row by row and as a whole."""

from __future__ import annotations

import pytest

from memmie_gateway.core.outcomes import CLOSE_CODES, Cause, Side
from memmie_gateway.core.websocket.control_frames import MAX_CONTROL_PAYLOAD, valid_close_code

CAUSES = pytest.mark.parametrize("cause", Cause)


def test_each_side_knows_the_other() -> None:
    assert (Side.CLIENT.other, Side.BACKEND.other) == (Side.BACKEND, Side.CLIENT)


# Spec §1: status before the upgrade, close code after it, whether Retry-After is sent.
SPEC = {
    Cause.BAD_REQUEST: (400, 4400, False),
    Cause.BAD_HANDSHAKE: (400, 4400, False),
    Cause.TOKEN_MISSING: (401, 4401, False),
    Cause.TOKEN_REFUSED: (401, 4401, False),
    Cause.TOKEN_TOO_LONG: (401, 4401, False),
    Cause.ORIGIN_REFUSED: (403, 4403, False),
    Cause.NO_ROUTE: (404, 4404, False),
    Cause.METHOD_REFUSED: (405, 4405, False),
    Cause.HEAD_LATE: (408, 4408, False),
    Cause.BODY_TOO_BIG: (413, 4413, False),
    Cause.URL_TOO_LONG: (414, 4414, False),
    Cause.EXPECTATION_REFUSED: (417, 4417, False),
    Cause.HEAD_TOO_BIG: (431, 4431, False),
    Cause.BAD_ENGINE_IO: (400, 4400, False),
    Cause.NOT_AN_UPGRADE: (426, 4426, False),
    Cause.WRONG_VERSION: (426, 4426, False),
    Cause.ADDRESS_FULL: (429, 4429, True),
    Cause.USER_FULL: (429, 4429, True),
    Cause.CONNECT_RATE: (429, 4429, True),
    Cause.CLIENT_LEFT: (499, 4499, False),
    Cause.INTERNAL: (500, 1011, False),
    Cause.GATEWAY_FULL: (503, 1013, True),
    Cause.DRAINING: (503, 1001, True),
    Cause.DISABLED: (503, 1013, False),
    Cause.AUTH_UNAVAILABLE: (503, 1013, True),
    Cause.AUTH_UNUSABLE: (502, 1011, False),
    Cause.NO_BACKEND: (503, 1013, True),
    Cause.BACKEND_FAILED: (503, 1013, True),
    Cause.BACKEND_REFUSED: (400, 1008, False),
    Cause.WRONG_PROTOCOL: (426, 4426, False),
    Cause.REQUEST_RATE: (429, 4429, True),
    Cause.BACKEND_BROKE_OFF: (502, 1013, True),
    Cause.BACKEND_TIMEOUT: (504, 1013, True),
    Cause.AUTH_BROKE_OFF: (502, 1013, True),
    Cause.AUTH_TIMEOUT: (504, 1013, True),
    Cause.CLIENT_CLOSED: (0, 4000, False),
    Cause.BACKEND_CLOSED: (0, 4000, False),
    Cause.CLIENT_GONE: (0, 4000, False),
    Cause.BACKEND_GONE: (0, 1012, True),
    Cause.IDLE: (0, 1001, True),
    Cause.CLIENT_SILENT: (0, 4000, True),
    Cause.BACKEND_SILENT: (0, 1012, True),
    Cause.MESSAGE_RATE: (0, 1008, False),
    Cause.AUTH_LATE: (408, 1008, False),
    Cause.CLOSE_LATE: (0, 1001, False),
    Cause.CLIENT_TOO_BIG: (0, 1009, False),
    Cause.BACKEND_TOO_BIG: (0, 1009, False),
    Cause.CLIENT_VIOLATION: (0, 1002, False),
    Cause.BACKEND_VIOLATION: (0, 1002, False),
    Cause.CLIENT_BAD_TEXT: (0, 1007, False),
    Cause.BACKEND_BAD_TEXT: (0, 1002, False),
    Cause.BACKEND_UNHEALTHY: (0, 1012, True),
    Cause.MOVED: (0, 1012, True),
    Cause.REPLACED: (0, 4000, False),
    Cause.TOKEN_ENDED: (0, 4401, False),
}


@CAUSES
def test_a_cause_looks_as_the_spec_says(cause: Cause) -> None:
    assert SPEC[cause] == (cause.ending.status, cause.close_code, cause.ending.retry)


def test_close_codes_that_metrics_show() -> None:
    assert {1000, 1006, 1015, 3000, 4401} < CLOSE_CODES
    assert CLOSE_CODES.isdisjoint({999, 1016, 4000, 4321, 4999})


def test_no_two_causes_are_one() -> None:
    """Two equal rows would become aliases of one enum member."""
    assert len(Cause.__members__) == len(list(Cause))


def test_codes_are_unique_and_fit_a_label() -> None:
    codes = [cause.ending.code for cause in Cause]
    assert sorted(set(codes)) == sorted(codes)
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)


@CAUSES
def test_close_codes_may_stand_on_the_wire(cause: Cause) -> None:
    assert valid_close_code(cause.close_code)
    assert cause.ending.to_backend == 0 or valid_close_code(cause.ending.to_backend)


@CAUSES
def test_words_fit_a_close_frame(cause: Cause) -> None:
    assert cause.ending.words.isascii()
    assert len(cause.ending.words) <= MAX_CONTROL_PAYLOAD - 2


@CAUSES
def test_closes_of_the_ends_themselves_are_the_only_ones_without_words(cause: Cause) -> None:
    passed_on = cause in (Cause.CLIENT_CLOSED, Cause.BACKEND_CLOSED)
    assert passed_on is (not cause.ending.words)
    dead = cause in (Cause.BACKEND_SILENT, Cause.BACKEND_UNHEALTHY)
    assert (passed_on or dead) is (cause.ending.to_backend == 0)


def test_normal_ends_are_no_errors() -> None:
    expected = {
        Cause.CLIENT_CLOSED,
        Cause.BACKEND_CLOSED,
        Cause.CLIENT_LEFT,
        Cause.DRAINING,
        Cause.IDLE,
        Cause.MOVED,
    }
    assert expected == {cause for cause in Cause if not cause.ending.error}
