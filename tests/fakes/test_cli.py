"""The commands, as processes where they live, else through their `main`."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from memmie_fake_auth.cli import main as auth_main
from memmie_fake_studio.cli import main as studio_main

BIN = Path(sys.executable).parent
MAINS = {"memmie-fake-auth": auth_main, "memmie-fake-studio": studio_main}
BOTH = pytest.mark.parametrize("command", MAINS)


async def start(command: str, *arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(BIN / command, *arguments, stdout=pipe, stderr=pipe)


async def run(command: str, *arguments: str) -> tuple[int | None, str, str]:
    process = await start(command, *arguments)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@BOTH
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_serve_says_where_and_ends_cleanly(
    http: aiohttp.ClientSession, command: str, ending: signal.Signals
) -> None:
    process = await start(command, "serve", "--port", "0")
    assert process.stdout is not None
    listening: dict[str, Any] = json.loads(await process.stdout.readline())
    assert (listening["event"], listening["url"]) == ("listening", f"http://127.0.0.1:{listening['port']}")
    async with http.get(f"{listening['url']}/health") as response:
        assert response.status == 200
    process.send_signal(ending)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


@BOTH
async def test_a_taken_port_is_one_line_and_exit_code_2(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, out, err = await run(command, "serve", "--port", str(taken.getsockname()[1]))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.endswith(": Address already in use\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["memmie-fake-auth"], "required: COMMAND"),
        (["memmie-fake-auth", "serve", "--port", "x"], "argument --port: invalid int value: 'x'"),
        (["memmie-fake-auth", "serve", "--port", "70000"], "port: 70000 is given; allowed: 0-65535"),
        (["memmie-fake-auth", "serve", "--access-ttl", "0"], "access_ttl_seconds: 0.0 is given"),
        (["memmie-fake-auth", "serve", "--signing-key-file", "/nowhere"], "No such file or directory"),
        (["memmie-fake-studio", "serve", "--auth-url", "x"], "auth_url: 'x' is given"),
        (["memmie-fake-studio", "serve", "--queue-messages", "0"], "queue_messages: 0 is given"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as ending:
        MAINS[arguments[0]](arguments[1:])
    out, err = capsys.readouterr()
    assert (ending.value.code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err


@BOTH
def test_version_and_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert MAINS[command](["version"]) == 0
    assert capsys.readouterr().out == f"{command} 0.1.0\n"
    with pytest.raises(SystemExit) as ending:
        MAINS[command](["serve", "--help"])
    assert ending.value.code == 0
    assert "(default: 127.0.0.1)" in capsys.readouterr().out


async def test_studio_takes_its_settings_from_the_command_line(http: aiohttp.ClientSession) -> None:
    process = await start(
        "memmie-fake-studio",
        "serve",
        "--port",
        "0",
        "--greeting",
        "--subprotocol",
        "v1",
        "--max-message-bytes",
        "9",
    )
    assert process.stdout is not None
    url = json.loads(await process.stdout.readline())["url"]
    async with http.ws_connect(f"{url}/ws?user_id=u1", protocols=["v1"]) as ws:
        assert ws.protocol == "v1"
        assert (await ws.receive_json(timeout=5))["type"] == "connected"
        await ws.send_str("more than nine bytes")
        assert (await ws.receive(timeout=5)).data == 1009
    process.terminate()
    await process.communicate()
