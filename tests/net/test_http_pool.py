"""Requests over kept connections: what is reused, what never is, and what is sent again."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.net.certificate import client_side, make_certificate, server_side
from tests.net.pair import until
from tests.net.scripted_auth import Asked, Line, ScriptedAuth

from memmie_gateway.net.auth.question import AuthUrl
from memmie_gateway.net.http1.connection import HttpConnection
from memmie_gateway.net.http1.pool import Pool
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.response_reader import MAX_BODY, MAX_HEAD, HttpError
from memmie_harness.conformance.peers import PATIENCE

TOKEN = "t"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSED = "^the service closed the connection without a complete answer$"
NO_HTTP = "^the answer is not HTTP: "
TOO_LARGE = "^the answer is too large$"
HEAD_TOO_LARGE = "^the head of the answer is too large$"

MakePool = Callable[..., Pool]


@pytest.fixture
async def auth() -> AsyncIterator[ScriptedAuth]:
    async with ScriptedAuth() as auth:
        yield auth


@pytest.fixture
async def make_pool(auth: ScriptedAuth) -> AsyncIterator[MakePool]:
    """`pool = make_pool(timeout=1)`; it is closed after the test."""
    made: list[Pool] = []

    def make(
        url: str = "",
        *,
        timeout: float = PATIENCE,
        idle_seconds: float = PATIENCE,
        tls: ssl.SSLContext | None = None,
    ) -> Pool:
        made.append(
            Pool(
                AuthUrl.parse(url or auth.url),
                Resolver(),
                timeout=timeout,
                idle_seconds=idle_seconds,
                tls=tls,
            )
        )
        return made[-1]

    yield make
    for pool in made:
        await pool.close()


@pytest.fixture
def pool(make_pool: MakePool) -> Pool:
    return make_pool()


async def ask(pool: Pool, token: str) -> tuple[int, bytes]:
    """Send a request that is about a token; return status and body of the response."""
    request = f"POST / HTTP/1.1\r\nhost: auth\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n"
    response = await pool.request(request.encode())
    return response.status, response.body


async def exchange(pool: Pool, auth: ScriptedAuth, token: str = TOKEN) -> Asked:
    """Ask, be answered at once, and return the question as it arrived."""
    asking = asyncio.create_task(ask(pool, token))
    asked = await auth.asked()
    assert asked.token == token
    asked.line.write(OK)
    assert await asking == (200, b"ok")
    return asked


async def write_byte_by_byte(pool: Pool, line: Line, data: bytes) -> None:
    """Send so that the gateway reads one byte at a time."""
    (connection,) = pool._connections
    for count, byte in enumerate(data, 1):
        line.write(bytes([byte]))
        while connection.received < count:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)


# Answers.

KEPT = [
    pytest.param(OK, (200, b"ok"), id="content-length"),
    pytest.param(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", (401, b""), id="no body"),
    pytest.param(b"HTTP/1.1 204 None\r\n\r\n", (204, b""), id="204"),
    pytest.param(
        b"HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        (307, b""),
        id="a redirect is not followed",
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n",
        (200, b"abcde"),
        id="chunked",
    ),
    pytest.param(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" + OK,
        (200, b"ok"),
        id="interim answers",
    ),
]

NOT_KEPT = [
    pytest.param(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", (200, b"ok"), id="close"
    ),
    pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, b"ok"), id="HTTP/1.0"),
    pytest.param(OK + OK, (200, b"ok"), id="another answer behind it"),
    pytest.param(OK + b"H", (200, b"ok"), id="a byte behind it"),
    pytest.param(OK + b"\x00garbage", (200, b"ok"), id="garbage behind it"),
]


@pytest.mark.parametrize("in_pieces", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(("answer", "expected"), KEPT)
async def test_an_answer_after_which_the_connection_is_kept(
    pool: Pool, auth: ScriptedAuth, answer: bytes, expected: tuple[int, bytes], *, in_pieces: bool
) -> None:
    for _ in range(2):  # the second one is read as the first was
        asking = asyncio.create_task(ask(pool, "t"))
        line = (await auth.asked()).line
        if in_pieces:
            await write_byte_by_byte(pool, line, answer)
        else:
            line.write(answer)
        assert await asking == expected
    assert len(auth.lines) == 1


@pytest.mark.parametrize(("answer", "expected"), NOT_KEPT)
async def test_an_answer_after_which_it_is_not(
    pool: Pool, auth: ScriptedAuth, answer: bytes, expected: tuple[int, bytes]
) -> None:
    asking = asyncio.create_task(ask(pool, "t"))
    line = (await auth.asked()).line
    line.write(answer)
    assert await asking == expected
    await line.end()
    assert (await exchange(pool, auth)).line is not line


@pytest.mark.parametrize("body", [b"", b"until the end"])
async def test_a_body_that_ends_with_the_connection(pool: Pool, auth: ScriptedAuth, body: bytes) -> None:
    asking = asyncio.create_task(ask(pool, "t"))
    line = (await auth.asked()).line
    await write_byte_by_byte(pool, line, b"HTTP/1.1 200 OK\r\n\r\n" + body)
    line.close()
    assert await asking == (200, body)
    assert (await exchange(pool, auth)).line is not line


BAD = [
    pytest.param(b"garbage\r\n\r\n", NO_HTTP, id="garbage"),
    pytest.param(b"\x16\x03\x01\x00", NO_HTTP, id="TLS"),
    pytest.param(
        b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "the answer is an upgrade, but the gateway did not request one",
        id="an upgrade",
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", NO_HTTP, id="two sizes"
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD + b"\r\nContent-Length: 2\r\n\r\nok",
        HEAD_TOO_LARGE,
        id="a head that is too large",
    ),
    pytest.param(
        b"HTTP/1.1 103 Hints\r\n\r\n" * (MAX_HEAD // 20) + OK, HEAD_TOO_LARGE, id="too many interim answers"
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: " + b"x" * MAX_HEAD,
        HEAD_TOO_LARGE,
        id="a trailer that is too large",
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * (MAX_BODY + 1), TOO_LARGE, id="huge"
    ),
    pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY + 1), TOO_LARGE, id="huge, without a size"),
]


@pytest.mark.parametrize(("answer", "words"), BAD)
async def test_no_answer_that_could_be_read(
    pool: Pool, auth: ScriptedAuth, answer: bytes, words: str
) -> None:
    """Auth leaves the connection open in all of these; the gateway does not wait for more."""
    asking = asyncio.create_task(ask(pool, "t"))
    line = (await auth.asked()).line
    line.write(answer)
    with pytest.raises(HttpError, match=words):
        await asking
    await line.end()
    assert (await exchange(pool, auth)).line is not line


async def test_as_much_as_an_answer_may_have(pool: Pool, auth: ScriptedAuth) -> None:
    asking = asyncio.create_task(ask(pool, "t"))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX: " % MAX_BODY
    (await auth.asked()).line.write(head.ljust(MAX_HEAD - 4, b"x") + b"\r\n\r\n" + b"x" * MAX_BODY)
    assert await asking == (200, b"x" * MAX_BODY)
    await exchange(pool, auth)
    assert len(auth.lines) == 1


@pytest.mark.parametrize(
    "half",
    [
        b"H",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 103 Hints\r\n\r\n",
    ],
)
async def test_half_an_answer(pool: Pool, auth: ScriptedAuth, half: bytes) -> None:
    """It is no answer, and as there was something of one, the question is not asked again."""
    line = (await exchange(pool, auth)).line
    asking = asyncio.create_task(ask(pool, "t"))
    assert (await auth.asked()).line is line
    line.write(half)
    line.close()
    with pytest.raises(HttpError, match=CLOSED):
        await asking
    assert auth.questions == 2


# Connections.


async def test_one_question_after_the_other_takes_one_connection(pool: Pool, auth: ScriptedAuth) -> None:
    for number in range(5):
        await exchange(pool, auth, f"t{number}")
    assert len(auth.lines) == 1


async def test_a_slow_answer_holds_up_nobody(pool: Pool, auth: ScriptedAuth) -> None:
    slow = asyncio.create_task(ask(pool, "slow"))
    asked = await auth.asked()
    for number in range(3):
        await exchange(pool, auth, f"t{number}")
    assert not slow.done()
    asked.line.write(OK.replace(b"ok", b"at"))
    assert await slow == (200, b"at")
    assert len(auth.lines) == 2


async def test_the_connection_that_was_used_last_is_used_first(pool: Pool, auth: ScriptedAuth) -> None:
    """So those that are not needed grow old."""
    both = [asyncio.create_task(ask(pool, token)) for token in ("a", "b")]
    first, last = await auth.asked(), await auth.asked()
    first.line.write(OK)
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    last.line.write(OK)
    await asyncio.gather(*both)
    for _ in range(2):
        assert (await exchange(pool, auth)).line is last.line


async def test_connections_put_aside_before_a_question_that_timed_out_are_not_trusted(
    make_pool: MakePool, auth: ScriptedAuth
) -> None:
    """Behind a firewall that has forgotten them nobody closes them, and each would cost a question its time-out."""
    pool = make_pool()
    asking = [asyncio.create_task(ask(pool, TOKEN)) for _ in range(5)]
    lines = [(await auth.asked()).line for _ in range(5)]
    for line in lines:
        line.write(OK)
    assert await asyncio.gather(*asking) == [(200, b"ok")] * 5

    pool._timeout = 0.2  # only for what is to time out: a busy machine may take as long over the rest
    with pytest.raises(TimeoutError):
        await ask(pool, TOKEN)
    pool._timeout = PATIENCE
    assert (await auth.asked()).line in lines
    for line in lines:
        await line.end()
    assert (await exchange(pool, auth)).line not in lines


async def test_a_connection_that_auth_closes_while_it_is_idle_is_not_used_again(
    pool: Pool, auth: ScriptedAuth
) -> None:
    (await exchange(pool, auth)).line.close()
    await until(lambda: not pool._connections)
    await exchange(pool, auth)
    assert (auth.questions, len(auth.lines)) == (2, 2)


async def test_an_idle_connection_is_closed_after_a_while(make_pool: MakePool, auth: ScriptedAuth) -> None:
    pool = make_pool(idle_seconds=0.05)
    both = [asyncio.create_task(ask(pool, token)) for token in ("a", "b")]
    lines = [(await auth.asked()).line, (await auth.asked()).line]
    lines[0].write(OK)
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    await lines[0].end()
    assert not lines[1].ended.is_set()  # it is not idle
    lines[1].write(OK)
    await asyncio.gather(*both)
    await lines[1].end()
    assert not pool._connections


async def test_each_idle_connection_is_closed_in_its_time(make_pool: MakePool, auth: ScriptedAuth) -> None:
    pool = make_pool(idle_seconds=0.1)
    loop = asyncio.get_running_loop()
    both = [asyncio.create_task(ask(pool, token)) for token in ("a", "b")]
    lines = [(await auth.asked()).line, (await auth.asked()).line]
    lines[0].write(OK)
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    since = pool._idle[0].idle_since
    await until(lambda: loop.time() > since + 0.01)
    lines[1].write(OK)
    await asyncio.gather(*both)
    for line in lines:
        await line.end()
    assert loop.time() >= since + 0.1


async def test_a_question_that_nothing_came_back_to_on_an_old_connection_is_asked_once_more(
    pool: Pool, auth: ScriptedAuth
) -> None:
    """Auth may close a connection at the moment it is used again."""
    old = (await exchange(pool, auth)).line
    asking = asyncio.create_task(ask(pool, "t"))
    assert (await auth.asked()).line is old
    old.close()
    new = (await auth.asked()).line
    assert new is not old
    new.write(OK)
    assert await asking == (200, b"ok")

    # But the new one's failure is Auth's.
    asking = asyncio.create_task(ask(pool, "t"))
    assert (await auth.asked()).line is new
    new.close()
    (await auth.asked()).line.close()
    with pytest.raises(HttpError, match=CLOSED):
        await asking
    assert auth.questions == 5


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_question_on_a_new_connection_is_asked_once(pool: Pool, auth: ScriptedAuth, how: str) -> None:
    asking = asyncio.create_task(ask(pool, "t"))
    line = (await auth.asked()).line
    if how == "close":
        line.close()
    else:
        line.writer.transport.abort()
    with pytest.raises(HttpError, match=CLOSED):
        await asking
    assert (auth.questions, len(auth.lines)) == (1, 1)


async def test_what_nobody_asked_for_is_nobody_s_answer(pool: Pool, auth: ScriptedAuth) -> None:
    line = (await exchange(pool, auth)).line
    line.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
    await line.end()
    assert (await exchange(pool, auth)).line is not line


# Time, and ends.


async def test_an_answer_that_does_not_come(make_pool: MakePool, auth: ScriptedAuth) -> None:
    pool = make_pool()
    await exchange(pool, auth)  # so that it is connected, and the answer alone is late
    pool._timeout = 0.1
    asking = asyncio.create_task(ask(pool, "t"))
    line = (await auth.asked()).line
    line.write(OK[:-1])
    with pytest.raises(TimeoutError):
        await asking
    await line.end()
    assert not pool._connections


async def test_a_question_that_is_given_up_leaves_its_answer_to_nobody(
    pool: Pool, auth: ScriptedAuth
) -> None:
    asking = asyncio.create_task(ask(pool, "a"))
    asked = await auth.asked()
    asking.cancel()
    asked.line.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
    await asyncio.wait([asking])
    assert asking.cancelled()
    await asked.line.end()
    assert (await exchange(pool, auth, "c")).line is not asked.line
    assert auth.questions == 2


async def test_a_question_that_is_asked_alone_has_its_own_connection(pool: Pool, auth: ScriptedAuth) -> None:
    kept = (await exchange(pool, auth)).line
    asking = asyncio.create_task(pool.request(b"GET / HTTP/1.1\r\nhost: auth\r\n\r\n", alone=True))
    asked = await auth.asked()
    asked.line.write(OK)
    assert (await asking).body == b"ok"
    await asked.line.end()
    assert (await exchange(pool, auth)).line is kept


@pytest.mark.parametrize("first", ["the answer", "the end"])
async def test_a_question_given_up_when_its_answer_is_there_leaves_no_connection_behind(
    pool: Pool, auth: ScriptedAuth, first: str
) -> None:
    """The answer and the end may come in one turn of the loop."""
    asking = asyncio.create_task(ask(pool, "a"))
    line = (await auth.asked()).line
    (connection,) = pool._connections
    if first == "the end":
        asking.cancel()
    connection.data_received(OK)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    await line.end()
    assert not pool._connections


async def test_closing_ends_everything(make_pool: MakePool, auth: ScriptedAuth) -> None:
    pool = make_pool()
    both = [asyncio.create_task(ask(pool, token)) for token in ("a", "b")]
    idle, busy = (await auth.asked()).line, (await auth.asked()).line
    idle.write(OK)
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    await pool.close()
    with pytest.raises(HttpError, match="the gateway dropped the connection"):
        await asyncio.gather(*both)
    await idle.end()
    await busy.end()
    assert not pool._connections


async def test_nobody_is_asked_any_more_when_it_is_closed(make_pool: MakePool, auth: ScriptedAuth) -> None:
    pool = make_pool()
    asking = asyncio.create_task(ask(pool, "a"))
    line = (await auth.asked()).line
    await pool.close()
    for outcome in await asyncio.gather(asking, ask(pool, "late"), return_exceptions=True):
        assert isinstance(outcome, HttpError)
    await line.end()
    assert auth.questions == 1
    assert not pool._connections


async def test_a_connection_that_was_lost_before_it_could_be_used(
    pool: Pool, auth: ScriptedAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing would ever tell the question that there is no answer."""
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def too_late(factory: Any, *where: Any, **options: Any) -> Any:
        transport, connection = await connect(factory, *where, **options)
        await until(lambda: len(auth.lines) == 1)
        auth.lines[0].close()
        await until(lambda: connection._end)
        return transport, connection

    monkeypatch.setattr(loop, "create_connection", too_late)
    with pytest.raises(HttpError, match=CLOSED):
        await ask(pool, "t")
    assert not pool._connections


def connections_alive() -> list[object]:
    return [each for each in gc.get_objects() if isinstance(each, HttpConnection)]


@pytest.mark.parametrize("how", ["idle", "refused"])
async def test_a_connection_leaves_nothing_for_the_garbage_collector(
    pool: Pool, auth: ScriptedAuth, how: str
) -> None:
    gc.collect()
    gc.disable()
    before = connections_alive()  # another test may keep one in the traceback of an error
    try:
        if how == "idle":
            (await exchange(pool, auth)).line.close()
            await until(lambda: not pool._connections)
        else:
            auth.stop()
            with pytest.raises(HttpError):
                await ask(pool, "t")
        await asyncio.sleep(0)
        assert [each for each in connections_alive() if each not in before] == []
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("host", "why"),
    [
        (
            "127.0.0.1:1",
            "Connection refused",
        ),  # uvloop's words, asyncio's
        (f"{'a' * 64}.test", "the host name is not valid"),
    ],
)
async def test_an_auth_that_is_not_there(make_pool: MakePool, host: str, why: str) -> None:
    with pytest.raises(HttpError, match=rf"^({why})$"):
        await ask(make_pool(f"http://{host}"), "t")


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


async def test_over_tls(certificate: Path, make_pool: MakePool) -> None:
    async with ScriptedAuth(server_side(certificate)) as auth:
        pool = make_pool(auth.url, tls=client_side(certificate))
        for _ in range(2):
            await exchange(pool, auth)
        assert len(auth.lines) == 1

        asking = asyncio.create_task(ask(pool, "t"))
        line = (await auth.asked()).line
        line.close()
        (await auth.asked()).line.write(OK)
        assert await asking == (200, b"ok")

        await pool.close()
        await auth.lines[-1].end()


async def test_a_certificate_that_nobody_vouches_for(certificate: Path, make_pool: MakePool) -> None:
    async with ScriptedAuth(server_side(certificate)) as auth:
        with pytest.raises(HttpError, match="certificate verify failed"):
            await ask(make_pool(auth.url), "t")
        assert auth.questions == 0
