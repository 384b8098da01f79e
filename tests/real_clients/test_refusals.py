"""The npm package `ws` at a gateway with `BROWSER_REFUSALS`: it reads why it is refused, if it says that it is a page."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO

import pytest
from tests.docs.programs import running
from tests.real_clients.hosts import install

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway

PROGRAM = """
import WebSocket from "ws";
const [url, origin, ...protocols] = process.argv.slice(1);
const socket = new WebSocket(url, protocols, origin ? { origin } : {});
const say = (what) => console.log(JSON.stringify(what));
socket.on("open", () => say(["open", socket.protocol]));
socket.on("close", (code, reason) => say(["close", code, reason.toString()]));
socket.on("error", ({ message }) => say(["error", message]));
"""


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://app.test", [["open", "bearer"], ["close", 4401, "token_invalid"]]),
        ("", [["error", "Unexpected server response: 401"], ["close", 1006, ""]]),
    ],
)
async def test_ws(origin: str, expected: list[list[object]]) -> None:
    folder = install()
    async with FakeAuth() as auth:
        with redirect_stdout(StringIO()):
            gateway = Gateway.from_env(
                {"HOST": "127.0.0.1", "PORT": "0", "AUTH_URL": auth.url, "BROWSER_REFUSALS": "true"}
            )
        await gateway.start()
        command = (
            "node",
            "--input-type=module",
            "--eval",
            PROGRAM,
            "--",
            f"ws://127.0.0.1:{gateway.port}/ws",
            origin,
        )
        async with running(*command, "bearer", "no.good.token", folder=folder) as process:
            assert process.stdout is not None
            told = [json.loads(line) async for line in process.stdout]
        await gateway.stop()
    assert told == expected
