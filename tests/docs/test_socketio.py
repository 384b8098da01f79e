"""docs/socketio.md: its programs as they are there, only with other addresses and tokens."""

from __future__ import annotations

import re
import sys
from asyncio.subprocess import Process
from pathlib import Path

import pytest
from tests.docs.programs import running
from tests.real_clients.hosts import install

from memmie_fake_studio import FakeStudio
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.socketio.translation import RECONNECT_CODES
from memmie_harness.fixture_types import ConnectSocketIo, MintToken
from memmie_harness.targets import Target

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "socketio.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- (node|python) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)

pytestmark = pytest.mark.memmie(studios=1, target="inprocess")


def program(language: str, target: Target, token: str) -> str:
    text = "\n".join(block for name, block in BLOCKS if name == language)
    assert text.count("http://127.0.0.1:8000") == text.count("the token that memmie dev printed") == 1
    return text.replace("http://127.0.0.1:8000", target.url).replace(
        "the token that memmie dev printed", token
    )


async def says(process: Process, words: str) -> None:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if words in line.decode():
            return
    raise AssertionError(words)


def test_every_program_is_run() -> None:
    assert len(BLOCKS) == PAGE.count("```js") + PAGE.count("```python")


def test_the_codes_are_those_of_the_gateway_and_of_the_client_for_plain_websockets() -> None:
    (listed,) = re.findall(r"After the codes ([\d, and]+), only the transport closes", PAGE)
    assert set(map(int, re.findall(r"\d+", listed))) == RECONNECT_CODES
    script = (ROOT / "docs" / "reconnecting.js").read_text(encoding="utf-8")
    assert all(str(code) in script for code in RECONNECT_CODES)


async def test_the_python_program(memmie_gateway: Target, memmie_token: MintToken) -> None:
    async with running(
        sys.executable, "-c", program("python", memmie_gateway, memmie_token("u1"))
    ) as process:
        await says(process, "'type': 'ack'")


async def test_the_javascript_program(
    memmie_gateway: Target,
    memmie_token: MintToken,
    memmie_socketio: ConnectSocketIo,
    memmie_studios: list[FakeStudio],
) -> None:
    """It gets an event of another connection, and comes back with a new token."""
    text = program("node", memmie_gateway, memmie_token("u1"))
    new = f'\nasync function newToken() {{ return "{memmie_token("u1")}"; }}\n'
    folder = install(ROOT / ".nox" / "socketio-client")
    command = ("node", "--input-type=module", "--eval", text + new)
    async with running(*command, folder=folder) as process:
        await says(process, "connected")
        (studio,) = memmie_studios
        await studio.log.wait_for("message", count=2)
        other = await memmie_socketio("u1")
        await other.emit("create_blob", {"processor_id": "p1", "schema_id": "s1", "data": {}})
        await says(process, "created")
        for session in list(memmie_gateway._service.parts.sessions):  # type: ignore[attr-defined]
            session.end(Cause.TOKEN_ENDED)
        await says(process, "connected")
