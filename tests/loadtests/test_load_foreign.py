"""The load on a gateway that is not ours, and that does not do what it should."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest
from tests.loadtests import scripts
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("locust") is None, reason="the load group is not installed"
)

TOKEN = "made-up"
finished = partial(scripts.finished, "load.py")


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n")
    return str(file)


REFUSAL = '{"error": "slowly", "code": "connect_rate_exceeded"}'


@contextlib.asynccontextmanager
async def gateway(
    answer: Callable[[int, ServerConnection], Awaitable[Response | None]],
) -> AsyncIterator[str]:
    """Run a server that is asked with the number of the handshake, from 1, how to answer it."""
    handshakes = 0

    async def process(connection: ServerConnection, _: Request) -> Response | None:
        nonlocal handshakes
        handshakes += 1
        return await answer(handshakes, connection)

    async def keep(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(keep, "127.0.0.1", 0, process_request=process) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"


async def load(url: str, token_file: str, out: Path) -> tuple[int, str, str]:
    return await finished(
        "storm", "--gateway", url, "--token-file", token_file, "--connections", "3", "--within", "2", "--out", str(out)
    )  # fmt: skip


async def test_a_gateway_that_is_not_there_is_told_at_once(token_file: str, tmp_path: Path) -> None:
    code, table, complaint = await load("ws://127.0.0.1:9/ws", token_file, tmp_path / "out")
    assert code == 2
    assert table == ""
    assert "ws://127.0.0.1:9/ws: cannot connect: Connection refused (--gateway)" in complaint


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (f'{{"error": "no user_id beside {TOKEN}"}}', "refused 400: no user_id beside …"),
        ('{"error": "who?", "code": "user_id_missing"}', "refused 400 user_id_missing: who?"),
        (f'{{"error": "who?", "code": "{TOKEN}"}}', "refused 400: who?"),
        (f'{{"error": "who?", "code": "{"a" * 41}"}}', "refused 400: who?"),
        ('["who?"]', 'refused 400: ["who?"]'),
    ],
)
async def test_a_refusal_is_told_in_the_words_of_the_gateway_but_for_the_token(
    body: str, words: str, token_file: str, tmp_path: Path
) -> None:
    async def refuse(_: int, connection: ServerConnection) -> Response:
        return connection.respond(HTTPStatus.BAD_REQUEST, body)

    async with gateway(refuse) as url:
        code, _, complaint = await load(url, token_file, tmp_path / "out")
    assert code == 2
    assert f"{url}: {words} (--gateway)" in complaint


async def test_a_gateway_that_never_answers_is_told(token_file: str, tmp_path: Path) -> None:
    async def wait(_: int, __: ServerConnection) -> None:
        await asyncio.Event().wait()

    async with gateway(wait) as url:
        code, _, complaint = await load(url, token_file, tmp_path / "out")
    assert code == 2
    assert f"{url}: no answer within 2 s (--gateway)" in complaint


async def test_what_the_crowd_meets_is_counted_and_nothing_is_judged_that_never_was(
    token_file: str, tmp_path: Path
) -> None:
    async def answer_the_first(number: int, connection: ServerConnection) -> Response | None:
        if number == 2:
            return connection.respond(HTTPStatus.TOO_MANY_REQUESTS, REFUSAL)
        if number > 2:
            await asyncio.Event().wait()
        return None

    async with gateway(answer_the_first) as url:
        code, table, complaint = await load(url, token_file, tmp_path / "out")
    assert code == 1
    refused = "connect via gateway: refused 429 connect_rate_exceeded (1)"
    stopped = f"could not go on: not all served within 2 s: 0 of 3 are connected; {refused}"
    assert f"load.py: {stopped}" in complaint.splitlines()
    assert stopped in table.splitlines()
    assert refused in table.splitlines()
    assert "must be completed" not in table + complaint
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert "pin" not in run["settings"]
    assert run["versions"].keys() == {"locust", "gevent", "websockets"}
    assert "connect via gateway: no answer (2)" in table
    assert "not measured" not in table
