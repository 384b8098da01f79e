"""How a client is refused: the HTTP answer, and the close code where its upgrade was accepted (spec §1)."""

from __future__ import annotations

import json

import pytest

from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.refusals import RefusedError, refusal_answer
from memmie_gateway.core.http.response import Envelope, Response
from memmie_gateway.core.outcomes import Cause

# Not the second of test_response, or its date might be cached.
ENVELOPE = Envelope("r1", "GET", 1_764_105_705.0)
REFUSALS = [cause for cause in Cause if cause.ending.status]


def read(answer: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    fields = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
    assert ("content-length", str(len(body))) in fields
    assert ("connection", "close") in fields
    assert ("x-request-id", "r1") in fields
    assert {"date", "server"} <= dict(fields).keys()
    return status, fields, body


# The HTTP answer.


@pytest.mark.parametrize("cause", REFUSALS)
def test_a_refusal_says_what_its_row_says(cause: Cause) -> None:
    ending = cause.ending
    status, fields, body = read(refusal_answer(RefusedError(cause), ENVELOPE))
    names = [name for name, _ in fields]
    assert status.startswith(f"HTTP/1.1 {ending.status} ")
    assert {"error": ending.words, "code": ending.code} == json.loads(body)
    assert ending.retry is ("retry-after" in names)
    assert (ending.status == 401) is ("www-authenticate" in names)  # RFC 9110 §15.5.2
    assert (ending.status == 426) is ("upgrade" in names)  # RFC 9110 §15.5.22
    assert (ending.status == 426) is (("connection", "Upgrade") in fields)  # RFC 9110 §7.8
    wants_websocket = ending.status == 426 and cause is not Cause.WRONG_PROTOCOL
    assert wants_websocket is (("sec-websocket-version", "13") in fields)  # RFC 6455 §4.4
    assert (cause is Cause.WRONG_PROTOCOL) is (("upgrade", "HTTP/1.1") in fields)


def test_a_refused_method_says_which_are_allowed() -> None:
    error = RefusedError(Cause.METHOD_REFUSED, "PUT is not allowed here", allow="GET,HEAD")
    status, fields, body = read(refusal_answer(error, ENVELOPE))
    assert status == "HTTP/1.1 405 Method Not Allowed"
    assert ("allow", "GET,HEAD") in fields
    assert json.loads(body) == {"error": "PUT is not allowed here", "code": "method_not_allowed"}


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "1"), (0.2, "1"), (1, "1"), (1.1, "2"), (2.5, "3"), (59.9, "60")]
)
def test_retry_after_is_never_too_early(seconds: float, expected: str) -> None:
    _, fields, _ = read(refusal_answer(RefusedError(Cause.CONNECT_RATE, retry_after=seconds), ENVELOPE))
    assert expected == dict(fields)["retry-after"]


def test_detail_replaces_the_words_of_the_row() -> None:
    status, fields, body = read(
        refusal_answer(RefusedError(Cause.TOKEN_REFUSED, 'say "no"\r\nX-Evil: 1 é'), ENVELOPE)
    )
    assert status == "HTTP/1.1 401 Unauthorized"
    assert dict(fields)["www-authenticate"] == "Bearer"
    assert "x-evil" not in dict(fields)
    assert json.loads(body) == {"error": 'say "no"\r\nX-Evil: 1 é', "code": "token_invalid"}


# The error.


@pytest.mark.parametrize("cause", REFUSALS)
def test_status_close_code_and_reason_are_those_of_the_row(cause: Cause) -> None:
    error = RefusedError(cause)
    ending = cause.ending
    assert (ending.status, cause.close_code, ending.words) == (error.status, error.close_code, error.reason)


def test_status_and_close_code_of_a_backends_own_refusal() -> None:
    error = RefusedError(Cause.BACKEND_REFUSED, response=Response(418, Headers()))
    assert (error.status, error.close_code) == (418, 4418)
    assert error.reason == Cause.BACKEND_REFUSED.ending.words


@pytest.mark.parametrize(
    ("error", "logged", "told"),
    [
        pytest.param(
            RefusedError(Cause.DRAINING), "the gateway is shutting down", "the gateway is shutting down", id="row"
        ),
        pytest.param(RefusedError(Cause.BAD_HANDSHAKE, "no key"), "no key", "no key", id="detail"),
        pytest.param(
            RefusedError(Cause.BAD_HANDSHAKE, "no key", internal="it sent 'x'"), "it sent 'x'", "no key", id="both"
        ),
        pytest.param(
            RefusedError(Cause.AUTH_UNAVAILABLE, internal="refused by 10.0.0.1"),
            "refused by 10.0.0.1",
            "Auth cannot answer now, retry later",
            id="internal",
        ),
    ],
)  # fmt: skip
def test_words_for_the_log_are_not_for_the_client(error: RefusedError, logged: str, told: str) -> None:
    assert (logged, told) == (str(error), error.reason)
    assert json.loads(read(refusal_answer(error, ENVELOPE))[2])["error"] == told


def test_the_user_is_unknown_until_it_is_set() -> None:
    assert RefusedError(Cause.USER_FULL).user_id == ""
