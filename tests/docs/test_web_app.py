"""docs/tutorials/web-app.md: its files and commands as they are there, only on other ports."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.docs.page import opened
from tests.docs.programs import running

from memmie_harness.client import connect

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "tutorials" / "web-app.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- ([\w. ]+) -->\n```\w+\n(.*?)```", TEXT, re.DOTALL)
SERVER, GATEWAY, WEB = (content for name, content in BLOCKS if name == "terminal")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def command(block: str) -> list[str]:
    """The arguments of a shell line, with the programs of this environment."""
    name, *arguments = shlex.split(block)
    programs = {"python": [sys.executable, "-u"], "memmie": [sys.executable, "-u", "-m", "memmie_harness"]}
    return [*programs[name], *arguments]


def test_every_block_is_run() -> None:
    assert len(BLOCKS) == TEXT.count("```") / 2
    assert [name for name, _ in BLOCKS] == [
        "file server.py", "terminal", "terminal", "file index.html", "terminal", "run in the end",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(120)  # four programs and a browser start
async def test_the_page_chats_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    shutil.copy(DOCS / "reconnecting.js", tmp_path)
    server_port = str(free_port())
    files = {name.removeprefix("file "): content for name, content in BLOCKS if name.startswith("file ")}
    (tmp_path / "server.py").write_text(files["server.py"].replace("9000", server_port))

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(*command(SERVER), folder=tmp_path))
        web = await stack.enter_async_context(running(*command(WEB.replace("5173", "0")), folder=tmp_path))
        assert web.stdout is not None
        [page] = re.findall(r"\((http://127\.0\.0\.1:\d+)/\)", (await web.stdout.readline()).decode())
        line = GATEWAY.replace("9000", server_port).replace("http://127.0.0.1:5173", page)
        dev = await stack.enter_async_context(
            running(*command(line), "--json", "--port-base", "0", folder=tmp_path)
        )
        assert dev.stdout is not None
        told = ""
        while not told.startswith("{"):
            told = (await dev.stdout.readline()).decode()
            assert told, "memmie dev ended"
        addresses = json.loads(told)
        html = files["index.html"].replace("ws://127.0.0.1:8000/ws", addresses["websocket"])
        html = html.replace("http://127.0.0.1:8001", addresses["auth"])
        (tmp_path / "index.html").write_text(html)

        async with running(*command(BLOCKS[-1][1]), folder=tmp_path) as printing:
            assert printing.stdout is not None
            token = (await printing.stdout.read()).decode().strip()
        async with await connect(addresses["websocket"], token) as script:
            await script.send("hello from a script")
            assert await script.recv() == "u1: hello from a script"

            async with opened(page, tmp_path / "profile") as chat:
                await chat.until("state.textContent === 'connected'")
                await chat.evaluate("text.value = 'hello from a page'; form.requestSubmit()")
                message = await script.recv()
                assert str(message).endswith(": hello from a page")
                await chat.until(f"messages.textContent === {json.dumps(message)}")

                server.terminate()
                waits = r"/^not connected: 1012 Studio is gone, reconnect.*; next attempt in [0-2]\.\d s$/"
                await chat.until(f"{waits}.test(state.textContent)")
                await stack.enter_async_context(running(*command(SERVER), folder=tmp_path))
                await chat.until("state.textContent === 'connected'")
