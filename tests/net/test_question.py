"""The question to Auth: as Auth sees it, and in which words it fails (spec §2)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable

import pytest
from tests.net.scripted_auth import Asked, ScriptedAuth
from tests.net.wire import PATIENCE

from memmie_gateway.core.auth.verdicts import AuthUnavailableError
from memmie_gateway.core.http.response import Response
from memmie_gateway.net.auth.question import AuthUrl, Question
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.response_reader import MAX_BODY, MAX_HEAD

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

MakeQuestion = Callable[..., Question]


@pytest.fixture
async def auth() -> AsyncIterator[ScriptedAuth]:
    async with ScriptedAuth() as auth:
        yield auth


@pytest.fixture
async def make_question(auth: ScriptedAuth) -> AsyncIterator[MakeQuestion]:
    """`question = make_question(timeout=1)`; its connections are closed after the test."""
    made: list[Question] = []

    def make(url: str = "", *, timeout: float = PATIENCE) -> Question:
        made.append(Question(AuthUrl.parse(url or auth.url), Resolver(), timeout=timeout))
        return made[-1]

    yield make
    for question in made:
        await question.close()


async def exchange(question: Question, auth: ScriptedAuth, token: str = "t") -> tuple[Asked, Response]:  # noqa: S107 - not a secret
    """Ask, be answered at once, and return the question as it arrived, with the response."""
    asking = asyncio.create_task(question.ask(token))
    asked = await auth.asked()
    asked.line.write(OK)
    return asked, await asking


async def test_the_question_as_auth_sees_it(make_question: MakeQuestion, auth: ScriptedAuth) -> None:
    token = 'header."payload\\.signature'
    asked, response = await exchange(make_question(), auth, token)
    body = json.dumps({"token": token}).encode()
    assert asked.head.split("\r\n") == [
        "POST /api/v1/auth/validate HTTP/1.1",
        f"Host: 127.0.0.1:{auth.port}",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Content-Type: application/json",
        f"Authorization: Bearer {token}",
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    assert asked.body == body
    assert (response.status, response.body) == (200, b"ok")


async def test_auth_may_live_below_a_path(make_question: MakeQuestion, auth: ScriptedAuth) -> None:
    asked, _ = await exchange(make_question(f"{auth.url}/accounts/"), auth)
    assert asked.head.startswith("POST /accounts/api/v1/auth/validate HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://auth", "auth"),
        ("http://auth:80/", "auth"),
        ("https://auth:443", "auth"),
        ("https://auth:80", "auth:80"),
        ("http://[::1]:8001/a", "[::1]:8001"),
    ],
)
def test_the_host_header(url: str, host: str) -> None:
    assert AuthUrl.parse(url).host_header == host


@pytest.mark.parametrize(
    "url",
    [
        "auth:8001",
        "ws://auth",
        "http://",
        "http://auth:port",
        "http://auth/?a=1",
        "http://auth/#a",
        "http://a@auth",
        "http://auth/a b",
        "http://auth/\r\nx-evil: 1",
        "http://auth/ü",
    ],
)
def test_urls_that_auth_cannot_have(url: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not a URL such as|must not (have|contain)|must be percent-encoded"
    ):
        AuthUrl.parse(url)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(b"", r"Auth gave no complete answer \(the service closed the connection without a complete answer\)", id="none"),
        pytest.param(b"garbage\r\n\r\n", r"Auth gave no complete answer \(the answer is not HTTP: .*\)", id="garbage"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY + 1), "Auth's answer is too large", id="huge"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD, "Auth's answer is too large", id="huge head"
        ),
    ],
)  # fmt: skip
async def test_no_usable_response(
    make_question: MakeQuestion, auth: ScriptedAuth, answer: bytes, words: str
) -> None:
    asking = asyncio.create_task(make_question().ask("t"))
    line = (await auth.asked()).line
    line.write(answer)
    if not answer:
        line.close()
    with pytest.raises(AuthUnavailableError, match=f"^{words}$") as raised:
        await asking
    assert raised.value.failure


@pytest.mark.parametrize("status", [200, 204, 302, 401, 404, 429])
async def test_an_auth_that_answers_a_probe_is_alive(
    make_question: MakeQuestion, auth: ScriptedAuth, status: int
) -> None:
    """Also one that does not know the path."""
    probing = asyncio.create_task(make_question(f"{auth.url}/accounts/").probe())
    asked = await auth.asked()
    assert asked.head.split("\r\n")[:3] == [
        "GET /accounts/health HTTP/1.1",
        f"Host: 127.0.0.1:{auth.port}",
        "Connection: close",
    ]
    asked.line.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status)
    await probing
    await asked.line.end()


async def test_an_auth_that_answers_a_probe_with_an_error_is_not(
    make_question: MakeQuestion, auth: ScriptedAuth
) -> None:
    probing = asyncio.create_task(make_question().probe())
    (await auth.asked()).line.write(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(AuthUnavailableError, match=r"^Auth answered with status 503$"):
        await probing


async def test_a_response_that_does_not_come_in_time(make_question: MakeQuestion) -> None:
    with pytest.raises(AuthUnavailableError, match=r"^Auth did not answer within 0\.1 seconds$") as raised:
        await make_question(timeout=0.1).ask("t")
    assert raised.value.failure


@pytest.mark.parametrize(
    ("host", "why"),
    [
        # uvloop's words, asyncio's
        ("127.0.0.1:1", "Connection refused"),
        (f"{'a' * 64}.test", "the host name is not valid"),
    ],
)
async def test_an_auth_that_is_not_there(make_question: MakeQuestion, host: str, why: str) -> None:
    with pytest.raises(AuthUnavailableError, match=rf"^Auth gave no complete answer \(({why})\)$"):
        await make_question(f"http://{host}").ask("t")


# When a connection is used again.

VALID = b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"valid":true}'
SMUGGLED = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"valid":false}'


async def answered(question: Question, auth: ScriptedAuth, answer: bytes, token: str = "t") -> Asked:  # noqa: S107 - not a secret
    asking = asyncio.create_task(question.ask(token))
    asked = await auth.asked()
    asked.line.write(answer)
    await asking
    return asked


async def test_bytes_that_are_there_before_a_question_are_not_its_answer(
    make_question: MakeQuestion, auth: ScriptedAuth
) -> None:
    """Also those that the event loop has not read yet."""
    question = make_question()
    first = await answered(question, auth, VALID)
    asking = asyncio.create_task(question.ask("next"))
    os.write(first.line.writer.get_extra_info("socket").fileno(), SMUGGLED)
    asked = await auth.asked()
    assert asked.line is not first.line
    asked.line.write(VALID)
    assert (await asking).body == b'{"valid":true}'
    await first.line.end()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", id="an error"),
        pytest.param(b"HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n", id="a redirect"),
        pytest.param(b"HTTP/1.1 408 x\r\nContent-Length: 0\r\n\r\n", id="too late"),
        pytest.param(b"HTTP/1.1 204 x\r\n\r\n", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", id="not an object"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            id="two lengths",
        ),
        pytest.param(VALID + SMUGGLED, id="two answers"),
        pytest.param(VALID + b"x", id="something behind it"),
    ],
)
async def test_after_anything_unexpected_a_connection_is_not_used_again(
    make_question: MakeQuestion, auth: ScriptedAuth, answer: bytes
) -> None:
    question = make_question()
    with contextlib.suppress(AuthUnavailableError):
        await answered(question, auth, answer)
    await auth.lines[0].end()
    assert (await answered(question, auth, VALID)).line is auth.lines[1]


@pytest.mark.parametrize("answer", [VALID, b"HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n"])
async def test_after_a_usual_answer_it_is(
    make_question: MakeQuestion, auth: ScriptedAuth, answer: bytes
) -> None:
    question = make_question()
    for _ in range(3):
        asked = await answered(question, auth, answer)
        assert "connection:" not in asked.head
    assert len(auth.lines) == 1


async def test_after_a_time_out_it_is_not(make_question: MakeQuestion, auth: ScriptedAuth) -> None:
    """The answer that comes too late is for nobody."""
    question = make_question(timeout=0.2)
    first = await answered(question, auth, VALID)
    with pytest.raises(AuthUnavailableError, match="did not answer"):
        await question.ask("slow")
    assert (await auth.asked()).line is first.line
    await first.line.end()


async def test_each_question_may_have_a_connection_of_its_own(auth: ScriptedAuth) -> None:
    question = Question(AuthUrl.parse(auth.url), Resolver(), timeout=PATIENCE, keep=False)
    for number in range(1, 4):
        asked = await answered(question, auth, VALID)
        assert "\r\nConnection: close\r\n" in asked.head
        await asked.line.end()
        assert len(auth.lines) == number
    await question.close()
