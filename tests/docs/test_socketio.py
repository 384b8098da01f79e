"""docs/socketio.md: its programs as they are there, only with other addresses and tokens."""

from __future__ import annotations

import re
import sys
from asyncio.subprocess import Process
from pathlib import Path

import pytest
from tests.docs.programs import running
from tests.net.socketio_studio import SocketIoStudio
from tests.real_clients.hosts import install

from memmie_fake_studio import FakeStudio
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.translation import RECONNECT_CODES
from memmie_harness.fixture_types import ConnectSocketIo, MintToken, StartGateway
from memmie_harness.targets import Target

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "socketio.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- (node|python|passthrough) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)

pytestmark = pytest.mark.memmie(studios=1, target="inprocess")


def program(language: str, target: Target, token: str) -> str:
    text = "\n".join(block for name, block in BLOCKS if name == language)
    assert text.count("http://127.0.0.1:8000") == 1
    return text.replace("http://127.0.0.1:8000", target.url).replace(
        "the token that memmie dev printed", token
    )


async def says(process: Process, words: str) -> None:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if words in line.decode():
            return
    raise AssertionError(words)


def end_by_token(target: Target) -> None:
    for session in list(target._service.parts.sessions):  # type: ignore[attr-defined]
        session.end(Cause.TOKEN_ENDED)


def test_every_program_is_run() -> None:
    assert len(BLOCKS) == PAGE.count("```js") + PAGE.count("```python")


def test_the_codes_are_those_of_the_gateway_and_of_the_client_for_plain_websockets() -> None:
    (listed,) = re.findall(r"After the codes ([\d, and]+), only the transport closes", PAGE)
    assert set(map(int, re.findall(r"\d+", listed))) == RECONNECT_CODES
    script = (ROOT / "docs" / "reconnecting.js").read_text(encoding="utf-8")
    assert all(str(code) in script for code in RECONNECT_CODES)


async def test_the_python_programs(memmie_gateway: Target, memmie_token: MintToken) -> None:
    """The second one comes back with a new token."""
    text = program("python", memmie_gateway, memmie_token("u1"))
    token = f"async def new_token():\n    return {memmie_token('u1')!r}\n"
    run = f"asyncio.run(listen({memmie_gateway.url!r}))"
    async with running(sys.executable, "-u", "-c", f"{text}\n{token}\n{run}") as process:
        await says(process, "'type': 'ack'")
        await says(process, "listening")
        end_by_token(memmie_gateway)
        await says(process, "listening")


async def test_the_javascript_program(
    memmie_gateway: Target,
    memmie_token: MintToken,
    memmie_socketio: ConnectSocketIo,
    memmie_studios: list[FakeStudio],
) -> None:
    """It gets an event of another connection, and comes back with a new token."""
    text = program("node", memmie_gateway, memmie_token("u1"))
    new = f'\nasync function newToken() {{ return "{memmie_token("u1")}"; }}\n'
    folder = install()
    command = ("node", "--input-type=module", "--eval", text + new)
    async with running(*command, folder=folder) as process:
        await says(process, "connected")
        (studio,) = memmie_studios
        await studio.log.wait_for("message", count=2)
        other = await memmie_socketio("u1")
        await other.emit("create_blob", {"processor_id": "p1", "schema_id": "s1", "data": {}})
        await says(process, "created")
        end_by_token(memmie_gateway)
        await says(process, "connected")


async def test_the_program_for_passthrough(
    memmie_start_gateway: StartGateway, memmie_token: MintToken
) -> None:
    """Its first token is refused."""
    async with SocketIoStudio() as studio:
        settings = {"SOCKETIO": "passthrough", "STUDIO_WS_URLS": studio.url, "HEALTH_CHECK": "tcp"}
        target = await memmie_start_gateway(settings)
        begin = 'import { io } from "socket.io-client"; let token = "expired";\n'
        new = f'async function newToken() {{ return "{memmie_token("u1")}"; }}\n'
        end = 'socket.on("connect", () => console.log("connected"));'
        folder = install()
        text = f"{begin}{program('passthrough', target, '')}{new}{end}"
        async with running("node", "--input-type=module", "--eval", text, folder=folder) as process:
            await says(process, "connected")
        assert studio.users == ["u1"]
