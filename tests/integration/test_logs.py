"""The log: one line for every connection that ended, one for every refusal, with what one wants to know."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection

import memmie_gateway
from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect
from memmie_harness.targets import Target
from memmie_harness.targets.process import clean_environment
from memmie_harness.wiring import gateway_environment

Closed = Callable[[ClientConnection], Awaitable[tuple[int | None, str]]]
Dial = Callable[..., Awaitable[ClientConnection]]
Refused = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.memmie(target="inprocess")


PACKAGE = Path(memmie_gateway.__file__).parent
DEPLOY_PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"


def test_the_page_for_operators_has_a_row_for_each_event() -> None:
    code = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    written = set(re.findall(r'\b_?log(?:\.(?:debug|info|warning|error|record))?\(\s*"([a-z_]+)"', code))
    table = DEPLOY_PAGE.read_text().partition("| event | meaning |")[2].partition("\n\n")[0]

    assert {"closed", "backend_health", "cut_short"} <= written
    assert set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\|[^|]*\|", table, re.MULTILINE)))) == written


def is_about(event: str, request_id: str) -> Callable[[dict[str, Any]], bool]:
    return lambda record: (record["event"], record.get("request_id")) == (event, request_id)


@pytest.mark.memmie(studios=1)
async def test_an_ended_connection_is_one_line_that_tells_all(
    memmie_gateway: Target, memmie_connect: Connect, memmie_studios: list[FakeStudio], closed: Closed
) -> None:
    [studio] = memmie_studios
    by_client = await memmie_connect("u1", additional_headers={"X-Request-ID": "r1"})
    for _ in range(3):
        await heartbeat(by_client)
    await by_client.close(4242, "had enough")

    by_studio = await memmie_connect("u2", additional_headers={"X-Request-ID": "r2"})
    studio.connections[-1].close(4321, "go away")
    await closed(by_studio)

    lost_studio = await memmie_connect("u3", additional_headers={"X-Request-ID": "r3"})
    studio.script("drop", connection=studio.connections[-1].id)
    await closed(lost_studio)

    lost_client = await memmie_connect("u4", additional_headers={"X-Request-ID": "r4"})
    lost_client.transport.abort()

    lines = {
        name: await memmie_gateway.wait_for_log(is_about("closed", name)) for name in ("r1", "r2", "r3", "r4")
    }
    told = {
        name: (line["user_id"], line["by"], line["cause"], line["code"], line["reason"])
        for name, line in lines.items()
    }
    assert told == {
        "r1": ("u1", "client", "client_closed", 4242, "had enough"),
        "r2": ("u2", "studio", "studio_closed", 4321, "go away"),
        "r3": ("u3", "studio", "studio_gone", 1012, "Studio is gone, reconnect"),
        "r4": ("u4", "client", "client_gone", None, "the client's connection was lost"),
    }
    first = lines["r1"]
    assert (first["messages_from_client"], first["messages_from_studio"]) == (3, 3)
    assert first["bytes_from_client"] > first["messages_from_client"] * 6
    assert first["bytes_from_studio"] > first["messages_from_studio"] * 2
    assert 0 < first["seconds"] < 10
    assert (first["address"], first["path"], first["backend"]) == ("127.0.0.1", "/ws", studio.ws_url)
    assert len([record for record in memmie_gateway.logs() if record["event"] == "closed"]) == 4


async def test_a_refusal_is_one_line_that_says_why(
    memmie_gateway: Target, refusal: Refused, dial_refusal: Refused, http: aiohttp.ClientSession
) -> None:
    await refusal(token="wrong", additional_headers={"X-Request-ID": "r1"})
    await dial_refusal(f"{memmie_gateway.url.replace('http', 'ws')}/nowhere")
    async with http.get(f"{memmie_gateway.url}/ws") as response:
        assert response.status == 426

    await memmie_gateway.wait_for_log(lambda record: record.get("status") == 426)
    line = await memmie_gateway.wait_for_log(is_about("refused", "r1"))
    assert {name: line[name] for name in ("address", "path", "status", "cause", "code", "by", "detail")} == {
        "address": "127.0.0.1",
        "path": "/ws",
        "status": 401,
        "cause": "token_invalid",
        "code": None,
        "by": "auth",
        "detail": "the token is not valid",
    }
    refusals = [record for record in memmie_gateway.logs() if record["event"] == "refused"]
    assert [(record["status"], record["cause"]) for record in refusals] == [
        (401, "token_invalid"),
        (404, "not_found"),
        (426, "upgrade_required"),
    ]


@pytest.mark.memmie(studios=1, env={"MAX_CONNECTIONS_PER_USER": 1})
async def test_a_refusal_tells_who_and_where_as_far_as_it_is_known(
    memmie_gateway: Target, memmie_connect: Connect, memmie_studios: list[FakeStudio], refusal: Refused
) -> None:
    await memmie_connect("u1")
    await refusal("u1", additional_headers={"X-Request-ID": "full"})
    memmie_studios[0].script("refuse", route="/ws", status=403)
    await refusal("u2", additional_headers={"X-Request-ID": "studio"})

    full = await memmie_gateway.wait_for_log(is_about("refused", "full"))
    assert (full["user_id"], full["backend"]) == ("u1", None)
    studio = await memmie_gateway.wait_for_log(is_about("refused", "studio"))
    assert (studio["user_id"], studio["backend"]) == ("u2", memmie_studios[0].ws_url)


@pytest.mark.memmie(studios=1, env={"TRUSTED_PROXIES": "127.0.0.0/8"})
async def test_a_refusal_at_the_edge_tells_of_the_client_and_not_of_its_proxy(
    memmie_gateway: Target, dial_refusal: Refused
) -> None:
    headers = {"X-Request-ID": "edge", "X-Forwarded-For": "192.0.2.7"}
    await dial_refusal(f"{memmie_gateway.url.replace('http', 'ws')}/nowhere", additional_headers=headers)

    line = await memmie_gateway.wait_for_log(is_about("refused", "edge"))
    assert (line["address"], line["cause"]) == ("192.0.2.7", "not_found")


@pytest.mark.memmie(studios=1)
async def test_a_connection_has_one_request_id_everywhere(
    memmie_gateway: Target, memmie_connect: Connect, memmie_studios: list[FakeStudio]
) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    own = await memmie_connect("u1", additional_headers={"X-Request-ID": "my-id", "traceparent": trace})
    made = await memmie_connect("u2")
    ids = [connection.response.headers["x-request-id"] for connection in (own, made) if connection.response]
    await own.close()
    await made.close()

    assert ids[0] == "my-id"
    assert len(ids[1]) == 32
    seen = [entry["headers"] for entry in memmie_studios[0].log.entries("connect", path="/ws")]
    assert [headers["x-request-id"] for headers in seen] == ids
    assert seen[0]["traceparent"] == trace
    assert len(seen[1]["traceparent"]) == len(trace)
    for request_id in ids:
        await memmie_gateway.wait_for_log(is_about("closed", request_id))


@pytest.mark.memmie(studios=1, target="process")
async def test_what_a_client_writes_cannot_forge_a_line(
    memmie_gateway: Target, memmie_connect: Connect
) -> None:
    forged = '{"event": "closed", "user_id": "somebody else"}'
    connection = await memmie_connect("u1", additional_headers={"X-Request-ID": "a b"})
    await connection.close(4000, f"\n{forged}\n\x1b[2J")

    line = await memmie_gateway.wait_for_log(lambda record: record["event"] == "closed")
    assert line["reason"] == f"\n{forged}\n\x1b[2J"
    assert line["request_id"] != "a b"
    await memmie_gateway.stop()
    assert all(json.loads(text) for text in memmie_gateway.log_tail(1000).splitlines())


async def test_a_log_that_cannot_be_written_disturbs_no_client(
    memmie_auth: FakeAuth, memmie_studios: list[FakeStudio], dial: Dial, dial_refusal: Refused
) -> None:
    environment = gateway_environment(
        auth_url=memmie_auth.url,
        studio_ws_urls=[studio.ws_url for studio in memmie_studios],
        extra={"LOG_FORMAT": "json", "DRAIN_SECONDS": 0},
    )
    read_end, write_end = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memmie_gateway", "serve"),
        env=clean_environment(environment),
        stdout=write_end,
    )
    os.close(write_end)
    try:
        with os.fdopen(read_end) as output:
            listening = json.loads(await asyncio.to_thread(output.readline))
        # Nobody reads the log from here on.
        url = listening["url"].replace("http", "ws") + "/ws"
        for _ in range(3):
            assert (await dial_refusal(url, "wrong")).status == 401
            connection = await dial(url, memmie_auth.mint())
            await heartbeat(connection)
            await connection.close()
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_a_log_that_nobody_reads_holds_up_no_client(
    memmie_auth: FakeAuth, memmie_studios: list[FakeStudio], dial_refusal: Refused
) -> None:
    environment = gateway_environment(
        auth_url=memmie_auth.url,
        studio_ws_urls=[studio.ws_url for studio in memmie_studios],
        extra={"LOG_FORMAT": "json", "DRAIN_SECONDS": 0, "CONNECT_RATE_PER_IP": 0},
    )
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memmie_gateway", "serve"),
        env=clean_environment(environment),
        stdout=write_end,
    )
    os.close(write_end)
    with os.fdopen(read_end) as output:
        listening = json.loads(await asyncio.to_thread(output.readline))
        # The pipe stays open, and is full after a dozen refusals.
        url = listening["url"].replace("http", "ws") + "/ws"
        for _ in range(50):
            assert (await dial_refusal(url, "wrong")).status == 401
        process.terminate()
        assert await process.wait() == 0
