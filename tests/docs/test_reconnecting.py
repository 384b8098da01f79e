"""docs/reconnecting.js in Node.js: what it does after each close code, and behind a real gateway."""

from __future__ import annotations

import asyncio
import json
import re
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.docs.programs import node, running
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from memmie_fake_studio import FakeStudio
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.websocket.readable import READABLE
from memmie_harness.fixture_types import MintToken
from memmie_harness.targets import Target

CLIENT = Path(__file__).parents[2] / "docs" / "reconnecting.js"

PROGRAM = f"""
import {{ connect }} from {json.dumps(CLIENT.as_uri())};
const [url, delays, ...tokens] = process.argv.slice(1);
const say = (event) => console.log(JSON.stringify(event));
let used = 0;
const client = connect(url, {{
  ...JSON.parse(delays),
  token: async ({{ fresh }}) => {{ say({{ fresh }}); if (fresh) used++; return tokens[used] ?? null; }},
  onOpen: () => say({{ open: true, sent: client.send("hello") }}),
  onMessage: (data) => say({{ message: data }}),
  onWait: ({{ seconds, code, reason }}) => say({{ wait: seconds, code, reason, sent: client.send("lost") }}),
  onEnd: ({{ code, reason }}) => {{ say({{ end: code, reason }}); }},
}});
process.on("SIGTERM", () => client.close());
"""

QUICK = {"firstDelay": 0.01, "longestDelay": 0.05}


async def events(process: Process) -> AsyncIterator[dict[str, Any]]:
    """What the client reports, until its program ends."""
    assert process.stdout is not None
    async for line in process.stdout:
        yield json.loads(line)


def client(url: str, *tokens: str, **delays: float) -> Any:
    arguments = (url, json.dumps(QUICK | delays), *tokens)
    return running(*node(), "--input-type=module", "--eval", PROGRAM, "--", *arguments)


async def test_after_each_close_code_of_the_gateway_it_does_what_the_pages_advise() -> None:
    studios_own = {1000, 1003, 1005, 3000, 4000}
    codes = sorted(
        {cause.close_code for cause in Cause if cause.ending.to_client or cause.ending.status}
        | {4000 + cause.ending.status for cause in READABLE if cause is not Cause.BACKEND_REFUSED}
        | studios_own
    )
    program = (
        f"import {{ advice }} from {json.dumps(CLIENT.as_uri())};\n"
        f"console.log(JSON.stringify({json.dumps(codes)}.map((code) => advice(code))));"
    )
    async with running(*node(), "--input-type=module", "--eval", program) as process:
        assert process.stdout is not None
        advice = dict(zip(codes, json.loads(await process.stdout.readline()), strict=True))

    for cause in Cause:
        if cause.ending.retry and (cause.ending.to_client or cause.ending.status):
            assert advice[cause.close_code] == "reconnect", cause
            assert cause not in READABLE or advice[4000 + cause.ending.status] == "reconnect", cause
    assert {code for code in codes if advice[code] == "new token"} == {4401}
    at_fault = {1002, 1007, 1009, 4400, 4403, 4404, 4405, 4413, 4414, 4417, 4426, 4431, 4499}
    assert {code for code in codes if advice[code] == "stop"} == at_fault | studios_own


async def test_it_reconnects_with_a_new_token_where_that_may_be_the_reason_and_stops_where_it_is_at_fault() -> (
    None
):
    ends: list[tuple[int, str] | int] = [
        (1012, "moving"), (4401, "the token expired"), 401, 401, (1013, ""), (1009, "message too big")
    ]  # fmt: skip
    closes = iter(ends)
    seen: list[str] = []
    following: tuple[int, str] | int

    async def refuse_or_accept(connection: ServerConnection, request: Request) -> Response | None:
        nonlocal following
        seen.append(request.headers["Sec-WebSocket-Protocol"])
        following = next(closes)
        return connection.respond(following, "no\n") if isinstance(following, int) else None

    async def close(connection: ServerConnection) -> None:
        assert isinstance(following, tuple)
        assert await connection.recv() == "hello"
        await connection.close(*following)

    async with serve(
        close, "127.0.0.1", 0, process_request=refuse_or_accept, subprotocols=[Subprotocol("bearer")]
    ) as server:
        port = server.sockets[0].getsockname()[1]
        tokens = ("t1", "t2", "t3", "t4")
        async with client(f"ws://127.0.0.1:{port}/ws", *tokens, freshSeconds=0) as process:
            told = [event async for event in events(process)]

    assert seen == [f"bearer, {token}" for token in ("t1", "t1", "t2", "t3", "t4", "t4")]
    assert [event["fresh"] for event in told if "fresh" in event] == [False, False, True, True, True, False]
    waits = [event for event in told if "wait" in event]
    assert [event["code"] for event in waits] == [1012, 4401, 1006, 1006, 1013]
    assert all(0 <= event["wait"] <= 0.05 and event["sent"] is False for event in waits)
    assert told[-1] == {"end": 1009, "reason": "message too big"}


async def test_while_no_connection_can_be_opened_it_asks_for_a_new_token_once() -> None:
    seen: list[str] = []

    async def refuse_often(connection: ServerConnection, request: Request) -> Response | None:
        seen.append(request.headers["Sec-WebSocket-Protocol"])
        return connection.respond(503, "not now\n") if len(seen) < 5 else None

    async def end(connection: ServerConnection) -> None:
        await connection.close(4000, "that is all")

    async with serve(
        end, "127.0.0.1", 0, process_request=refuse_often, subprotocols=[Subprotocol("bearer")]
    ) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        async with client(url, "t1", "t2", "t3") as process:
            told = [event async for event in events(process)]

    assert [event["fresh"] for event in told if "fresh" in event] == [False, True, False, False, False]
    assert seen == [f"bearer, {token}" for token in ("t1", "t2", "t2", "t2", "t2")]
    assert told[-1] == {"end": 4000, "reason": "that is all"}


@pytest.mark.parametrize(
    ("url", "options", "reason"),
    [
        ("ws://127.0.0.1:9/ws", "WebSocket: undefined", "no WebSocket: WebSocket is not a constructor"),
        ("ws://127.0.0.1:9/ws", "WebSocket: class { constructor() { throw new Error('full'); } }", "no WebSocket: full"),
        ("no address", "", "no WebSocket: .+"),
    ],
)  # fmt: skip
async def test_where_no_websocket_can_be_made_it_ends_and_says_why(
    url: str, options: str, reason: str
) -> None:
    # As in Node.js 20, which has no global WebSocket, unless the case is about its constructor.
    gone = "delete globalThis.WebSocket;" if "undefined" in options else ""
    program = (
        f"{gone} import {{ connect }} from {json.dumps(CLIENT.as_uri())};\n"
        f"connect({json.dumps(url)}, {{ token: () => 't1', onEnd: (e) => console.log(JSON.stringify(e)), {options} }});"
    )
    async with running(*node(), "--input-type=module", "--eval", program) as process:
        assert process.stdout is not None
        told = json.loads(await process.stdout.read())
    assert told["code"] == 1006
    assert re.fullmatch(reason, told["reason"])


async def test_it_takes_the_websocket_class_of_a_library() -> None:
    program = (
        f"import {{ connect }} from {json.dumps(CLIENT.as_uri())};\n"
        "class Own extends WebSocket { constructor(...given) { super(...given); console.log('made'); } }\n"
        "connect(process.argv[1], { token: () => 't1', WebSocket: Own, onEnd: ({ code }) => console.log(code) });"
    )

    async def end(connection: ServerConnection) -> None:
        await connection.close(4000)

    async with serve(end, "127.0.0.1", 0, subprotocols=[Subprotocol("bearer")]) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        async with running(*node(), "--input-type=module", "--eval", program, "--", url) as process:
            assert process.stdout is not None
            assert (await process.stdout.read()).decode() == "made\n4000\n"


async def test_without_a_user_it_ends() -> None:
    async with client("ws://127.0.0.1:9/ws") as process:
        told = [event async for event in events(process)]
    assert told == [{"fresh": False}, {"end": 4401, "reason": "nobody is signed in"}]


async def test_the_example_of_the_page_works() -> None:
    page = (CLIENT.parent / "connect.md").read_text(encoding="utf-8")
    [example] = re.findall(r"<!-- use reconnecting.js -->\n```js\n(.*?)```", page, re.DOTALL)

    async def greet(connection: ServerConnection) -> None:
        await connection.send("hello")
        await connection.close(4000, "that is all")

    async with serve(greet, "127.0.0.1", 0, subprotocols=[Subprotocol("bearer")]) as server:
        address = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        example = example.replace("wss://gateway.example.com/ws", address)
        example = example.replace("./reconnecting.js", CLIENT.as_uri())
        tokens = 'const currentToken = async () => "t1", newToken = currentToken;\n'
        async with running(*node(), "--input-type=module", "--eval", example + tokens) as process:
            assert process.stdout is not None
            told = (await process.stdout.read()).decode()
    assert told == "hello\nnot connected any more: 4000 that is all\n"


@pytest.mark.memmie(target="inprocess")
async def test_behind_a_gateway_it_survives_the_end_of_a_backend(
    memmie_gateway: Target, memmie_studios: list[FakeStudio], memmie_token: MintToken
) -> None:
    async with client(memmie_gateway.ws_url, memmie_token("u1")) as process:
        told = events(process)
        assert await anext(told) == {"fresh": False}
        assert await anext(told) == {"open": True, "sent": True}
        [home] = [studio for studio in memmie_studios if studio.connections]
        [other] = [studio for studio in memmie_studios if studio is not home]

        await home.stop()
        ends = []
        async for event in told:
            if "open" in event:
                break
            ends += [(event["code"], event["reason"])] if "wait" in event else []
        process.terminate()
        async with asyncio.timeout(20):
            assert [event async for event in told if "message" not in event] == []
            closed = await other.log.wait_for("close")

    assert ends == [(1012, "Studio is gone, reconnect")]
    assert (closed["code"], closed["closed_by"]) == (1000, "client")
